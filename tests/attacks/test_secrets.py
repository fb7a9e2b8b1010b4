"""Canaries in what a run could take along: files, variables, argv, addresses. The store has none of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from lin.project import Project

FILES = [
    ".env",
    ".env.production",
    "prod.env",
    ".envrc",
    "terraform.tfvars",
    "secrets.toml",
    ".streamlit/secrets.toml",
    "secrets.yaml",
    ".netrc",
    ".pgpass",
    ".my.cnf",
    ".pypirc",
    ".npmrc",
    ".htpasswd",
    ".git-credentials",
    ".vault-token",
    ".boto",
    ".s3cfg",
    ".databrickscfg",
    "kaggle.json",
    "kubeconfig",
    "credentials.json",
    "client_secret_7.json",
    "service_account.json",
    ".config/gcloud/application_default_credentials.json",
    "server.pem",
    "my.key",
    "key.p12",
    "key.pfx",
    "private.ppk",
    "store.jks",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "sub/id_ed25519",
    ".ssh/deploy",
    "sub/.ssh/deploy",
    ".aws/credentials",
    ".docker/config.json",
    ".kube/config",
]
VARIABLES = [
    "AWS_SECRET_ACCESS_KEY",
    "HF_TOKEN",
    "DATABASE_URL",
    "PIP_INDEX_URL",
    "OMP_FOO",
    "OPENBLAS_FOO",
    "MKL_FOO",
    "PYTHON_FOO",
    "LC_FOO",
    "LANG_FOO",
]
ARGUMENTS = [
    *("--password", "{}"),
    *("--token={}", "API_KEY={}", "https://ann:{}@example.com/x", "Authorization: Bearer {}", '{{"password": "{}"}}'),
]


def test_no_canary_gets_into_the_store(project: Project, monkeypatch: pytest.MonkeyPatch):
    number = 0

    def canary() -> str:
        nonlocal number
        number += 1
        return f"canary{number:03}"

    for name in FILES:
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(canary())
    for name in VARIABLES:
        monkeypatch.setenv(name, canary())
    (project.root / "model.py").write_text("print('this is code')\n")
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    remote = f"https://ann:{canary()}@example.com/x.git"
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=project.root, check=True)
    words = [word.format(canary()) if "{}" in word else word for word in ARGUMENTS]
    command = [sys.executable, "-m", "lin", "run", "--", sys.executable, "model.py", *words]
    subprocess.run(command, cwd=project.root, check=True, capture_output=True)
    assert number >= 50
    assert leaks(project.store_root) == []
    assert any(b"this is code" in path.read_bytes() for path in project.store_root.rglob("*") if path.is_file())


def leaks(folder: Path) -> list[str]:
    return [
        f"{path.name}: {data[at : at + 9].decode()}"
        for path in folder.rglob("*")
        if path.is_file()
        for data in [path.read_bytes()]
        for at in [data.find(b"canary")]
        if at >= 0
    ]
