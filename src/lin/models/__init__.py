"""The registry as a fold over events, model files on disk, and predictions."""
