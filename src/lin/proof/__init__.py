"""Re-running and judging: verify two runs, re-run one. Builds on every room below and keeps no files of its own."""
