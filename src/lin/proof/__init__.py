"""Running again, judging, and saying why. Builds on every room below it and keeps no files of its own."""
