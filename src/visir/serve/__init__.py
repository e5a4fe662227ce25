"""An index over HTTP: a web page, an API, and tools for agents. docs/serve.md shows each."""
