"""Arguments of the verbs, one module each. They import nothing that takes time."""
