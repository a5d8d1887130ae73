"""The language server: `netdsl lsp`. It needs the extra `lsp`; what it says is worked out in netdsl/ide/."""
