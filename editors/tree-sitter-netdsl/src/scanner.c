// Where lines end and how they are indented; which names hold braces.
//
// Tokens of lines are empty, at the end of what they follow, so that comments and blank lines lie behind them. In
// brackets the grammar asks for no end of a line, and it is white space.

#include "tree_sitter/alloc.h"
#include "tree_sitter/array.h"
#include "tree_sitter/parser.h"

#include <string.h>

enum TokenType { NEWLINE, INDENT, DEDENT, TEMPLATE_NAME, ERROR };

typedef struct {
    Array(uint16_t) indents;  // of the bodies that are open; the file's own is not among them
} Scanner;

static bool begins_word(int32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool in_word(int32_t c) { return begins_word(c) || (c >= '0' && c <= '9'); }

void *tree_sitter_netdsl_external_scanner_create(void) {
    Scanner *scanner = ts_calloc(1, sizeof(Scanner));
    array_init(&scanner->indents);
    return scanner;
}

void tree_sitter_netdsl_external_scanner_destroy(void *payload) {
    Scanner *scanner = payload;
    array_delete(&scanner->indents);
    ts_free(scanner);
}

unsigned tree_sitter_netdsl_external_scanner_serialize(void *payload, char *buffer) {
    Scanner *scanner = payload;
    size_t size = scanner->indents.size * sizeof(uint16_t);
    if (size > TREE_SITTER_SERIALIZATION_BUFFER_SIZE) {
        size = TREE_SITTER_SERIALIZATION_BUFFER_SIZE;
    }
    if (size > 0) {
        memcpy(buffer, scanner->indents.contents, size);
    }
    return size;
}

void tree_sitter_netdsl_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
    Scanner *scanner = payload;
    array_clear(&scanner->indents);
    for (unsigned at = 0; at + sizeof(uint16_t) <= length; at += sizeof(uint16_t)) {
        uint16_t indent;
        memcpy(&indent, buffer + at, sizeof(uint16_t));
        array_push(&scanner->indents, indent);
    }
}

static bool scan_line(Scanner *scanner, TSLexer *lexer, const bool *valid, bool *commented) {
    lexer->mark_end(lexer);
    bool ended = false;
    uint32_t indent = 0;
    for (;;) {
        if (lexer->lookahead == '\n') {
            ended = true;
            indent = 0;
        } else if (lexer->lookahead == ' ') {
            indent++;
        } else if (lexer->lookahead == '\t') {
            indent += 4 - indent % 4;
        } else if (ended && lexer->lookahead == '#') {  // a line of its own; its indentation says nothing
            *commented = true;
            while (lexer->lookahead != '\n' && !lexer->eof(lexer)) {
                lexer->advance(lexer, true);
            }
            continue;
        } else if (lexer->eof(lexer)) {
            ended = true;
            indent = 0;
            break;
        } else if (lexer->lookahead != '\r') {
            break;
        }
        lexer->advance(lexer, true);
    }
    if (!ended) {
        return false;
    }
    if (lexer->lookahead == '-') {  // a line that begins with an arrow goes on
        lexer->advance(lexer, true);
        if (lexer->lookahead == '>') {
            return false;
        }
    }
    uint32_t current = scanner->indents.size ? *array_back(&scanner->indents) : 0;
    if (indent > UINT16_MAX) {
        indent = UINT16_MAX;
    }
    if (valid[INDENT] && indent > current) {
        array_push(&scanner->indents, indent);
        lexer->result_symbol = INDENT;
        return true;
    }
    if (valid[DEDENT] && indent < current) {
        (void)array_pop(&scanner->indents);
        lexer->result_symbol = DEDENT;
        return true;
    }
    if (valid[NEWLINE]) {
        lexer->result_symbol = NEWLINE;
        return true;
    }
    return false;
}

static bool scan_template(TSLexer *lexer) {
    while (lexer->lookahead == ' ' || lexer->lookahead == '\t' || lexer->lookahead == '\r' ||
           lexer->lookahead == '\n') {
        lexer->advance(lexer, true);
    }
    if (!begins_word(lexer->lookahead)) {
        return false;
    }
    while (in_word(lexer->lookahead)) {
        lexer->advance(lexer, false);
    }
    lexer->mark_end(lexer);
    lexer->result_symbol = TEMPLATE_NAME;
    return lexer->lookahead == '{';
}

bool tree_sitter_netdsl_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid) {
    Scanner *scanner = payload;
    bool commented = false;
    bool lines = valid[NEWLINE] || valid[INDENT] || valid[DEDENT];
    if (valid[ERROR]) {  // everything is valid while the parser recovers: a line that ends is all that helps
        return scan_line(scanner, lexer, valid, &commented);
    }
    if (lines && scan_line(scanner, lexer, valid, &commented)) {
        return true;
    }
    // a comment that was passed is the grammar's to read first
    return valid[TEMPLATE_NAME] && !commented && scan_template(lexer);
}
