"""Executions and what is captured about them: record, train, execute, query."""
