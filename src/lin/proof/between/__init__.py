"""What differs between two recipes, and the recipes in between, down to one line, package, commit or column."""
