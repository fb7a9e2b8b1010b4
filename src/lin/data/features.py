"""What a table asks of its readers, and whether this one can: an unknown feature may mean anything for the rows."""

from collections.abc import Iterable

from lin.data.actions import AddFile, Metadata, Protocol

READABLE_FEATURES = frozenset(
    {
        "columnMapping",
        "deletionVectors",
        "timestampNtz",
        "typeWidening",
        "typeWidening-preview",
        "v2Checkpoint",
        "vacuumProtocolCheck",
    }
)
"""The reader features under which lin reads the rows that Delta's protocol means."""

_NEWEST_READER = 3
_MAPPING_READER = 2
"""The reader version that has column mapping without naming it as a feature."""


def missing_feature(metadata: Metadata, protocol: Protocol, files: Iterable[AddFile]) -> str | None:
    """What a version needs that lin does not read, in words; None where it can be read.

    A feature counts that the protocol names, used or not, for a reader that does not know it cannot tell. What is used
    without being named is refused as well: other readers would not see it, and the rows would be in doubt.
    """
    allowed = set(protocol.reader_features)
    if protocol.reader == _MAPPING_READER:
        allowed.add("columnMapping")
    unknown = sorted(allowed - READABLE_FEATURES)
    mode = metadata.configuration.get("delta.columnMapping.mode", "none")
    mapped = mode.lower() != "none"
    found = (
        (protocol.reader > _NEWEST_READER, f"reader version {protocol.reader}"),
        (metadata.provider != "parquet", f"data files in the format '{metadata.provider}'"),
        (bool(unknown), f"the feature '{', '.join(unknown)}'"),
        (mode.lower() not in {"none", "name", "id"}, f"column mapping (mode '{mode}')"),
        (mapped and "columnMapping" not in allowed, f"column mapping (mode '{mode}') without naming it as a feature"),
        (
            "deletionVectors" not in allowed and any(file.vector for file in files),
            "deletion vectors without naming them as a feature",
        ),
    )
    return next((feature for missing, feature in found if missing), None)
