"""The store: backends, blobs, run files, events. The only room that knows the tree on disk."""
