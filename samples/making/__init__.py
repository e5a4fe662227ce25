"""How the sample documents are made: one function a document, its text as data beside it."""
