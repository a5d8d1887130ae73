/**
 * The .net language for tree-sitter: grammar/net.lark, in its words.
 *
 * What net.lark knows by looking far ahead (`COUNT`) is left to tree-sitter's parallel parsers: see `conflicts`. Words
 * that open a line are names everywhere else. `src/scanner.c` says where lines end, how they are indented, and which
 * names hold braces.
 */

/// <reference types="tree-sitter-cli/dsl" />

const CALLED = ["block", "net", "table"];
const WORDS = [
  ...CALLED, "stage", "output", "input", "weight", "default", "init", "meta", "require", "order", "decide", "first",
  "inline", "variant", "same",
];

const list = (rule) => seq(rule, repeat(seq(",", rule)));
const word = ($, words) => choice($.identifier, ...words.map((one) => alias(one, $.identifier)));

module.exports = grammar({
  name: "netdsl",

  externals: ($) => [$._newline, $._indent, $._dedent, $._template_name, $._error],
  extras: ($) => [/[ \t\r\n]/, $.comment],
  word: ($) => $.identifier,
  conflicts: ($) => [
    [$.op, $._word],
    [$.label, $.name],
    [$._joint, $.choice],
    [$.chosen_op, $._word],
    [$._count, $._expr],
    [$.label, $._expr],
    [$._counted_by, $._expr],
    [$.input, $._word],
    [$.meta, $._word],
    [$.require, $._word],
    [$.count_paren, $.paren],
  ],

  rules: {
    file: ($) => repeat($._item),

    // ------------------------------------------------------------ top level

    _item: ($) =>
      choice(
        alias($.annotated_item, $.annotated), $.import, $.default, $.init, $.def, $.table, $.assign, $.block, $.net,
        $.variant, $.decide,
      ),
    annotated_item: ($) => seq(repeat1($.annotation), choice($.block, $.net, $.variant)),

    import: ($) => seq("import", list($.name), "from", $.string, $._newline),
    block: ($) =>
      seq(
        optional("inline"), "block", field("name", $.identifier), optional($.params),
        optional(seq("from", list($.parameter))), ":", $._body,
      ),
    net: ($) => seq("net", field("name", $.identifier), optional($.params), ":", $._body),
    variant: ($) =>
      seq(
        "variant", field("name", $.identifier), "=", field("net", $.identifier), "(", optional($._args), ")",
        choice($._newline, seq(":", $._body)),
      ),

    params: ($) => seq("(", optional(seq(list($.param), optional(","))), ")"),
    param: ($) => seq($.parameter, optional(seq(":", $.type, optional(seq("in", $._expr)))), optional(seq("=", $._expr))),
    parameter: ($) => $._word,
    type: ($) => $._word,

    table: ($) =>
      seq(
        "table", field("name", $.identifier), "(", list($.parameter), ")", ":",
        $._newline, $._indent, repeat1($.row), $._dedent,
      ),
    row: ($) => seq(list($._expr), $._newline),

    // ------------------------------------------------------------ bodies

    _body: ($) => choice($.line, $._suite),
    _suite: ($) => seq($._newline, $._indent, repeat1($._stmt), $._dedent),
    _stmt: ($) =>
      choice(
        $.line, $.container, $.merge, $.stage, $.if, $.for, $.output, $.return, $.assign, $.bind, $.weight, $.annotated,
        $.default, $.init, $.def, $.input, $.meta, $.require, $.order, $.decide,
      ),
    annotated: ($) => seq(repeat1($.annotation), choice($.line, $.container, $.merge, $.stage, $.output)),
    annotation: ($) =>
      seq("@", field("name", $.identifier), optional(seq("(", optional($._args), ")")), $._newline),

    line: ($) => seq(optional(seq($.label, ":")), $._chain, optional($._when), $._newline),
    container: ($) => seq(choice($.label, seq("(", ")")), ":", $._suite),
    merge: ($) => seq(optional(seq($.label, ":")), $._joint, ":", $._suite),
    stage: ($) =>
      seq(
        "stage", choice($.number, alias($.stage_label, $.label)), ":",
        choice(seq($._chain, optional($._when), $._newline), $._suite),
      ),
    stage_label: ($) => choice($._word, $.template, $._counted),
    output: ($) => seq(optional("train"), "output", $.label, ":", $._chain, optional($._when), $._newline),
    return: ($) => seq("return", list($.result), $._newline),
    bind: ($) =>
      seq(
        $._targets, "=",
        choice(
          seq($._source, optional(seq("->", $._steps)), optional($._when), $._newline),
          seq($._joint, ":", $._suite),
        ),
      ),
    weight: ($) => seq("weight", $.label, $._args, $._newline),
    if: ($) => seq("if", $._expr, ":", $._body, repeat($.elif), optional($.else)),
    elif: ($) => seq("elif", $._expr, ":", $._body),
    else: ($) => seq("else", ":", $._body),
    for: ($) => seq("for", $._turns, "in", $._expr, ":", $._body),
    assign: ($) => seq($._targets, "=", $._expr, $._newline),
    def: ($) =>
      seq(
        "def", field("name", $.identifier), "(", optional(list($.parameter)), ")", "=", $._expr, $._newline,
      ),
    default: ($) => seq("default", $.op, $._args, $._newline),
    init: ($) => seq("init", $.op, $._args, $._newline),
    input: ($) => seq("input", optional(seq(alias($.input_label, $.label), ":")), $._args, $._newline),
    input_label: ($) => $._word,
    meta: ($) => seq("meta", $._args, $._newline),
    require: ($) => seq("require", list($._expr), $._newline),
    order: ($) => seq("order", list($.label), $._newline),
    decide: ($) =>
      seq(
        "decide",
        choice(list($.decision), seq("(", list($.decision), optional(","), ")")),
        $._newline,
      ),
    decision: ($) => seq($.path, "=", choice($._expr, alias($.joint, $.op))),
    joint: () => choice("add", "mul", "concat"),
    path: ($) => seq($._path, repeat(seq(".", $._path))),
    _path: ($) => choice($._word, $.string, $.number),
    _when: ($) => seq("when", $._expr),

    // ------------------------------------------------------------ chains

    _chain: ($) => choice(seq($._source, optional(seq("->", $._steps))), $._steps),
    _source: ($) => seq("from", list($.ref)),
    _steps: ($) => seq($._step, repeat(seq("->", $._step))),
    _step: ($) => choice($.layer, $.same, $.repeat, $.group, $.optional),
    layer: ($) => seq($.op, optional($._args), optional(seq("as", $.label))),
    same: ($) => seq("same", $.label),
    repeat: ($) => prec.dynamic(1, seq($._count, "*", $._step)),
    _count: ($) => choice($.number, $._counted_by),
    _counted_by: ($) =>
      choice(
        $.name,
        alias($.count_paren, $.paren),
        alias($.count_attribute, $.attribute),
        alias($.count_index, $.index),
      ),
    count_paren: ($) => seq("(", $._expr, ")"),
    count_attribute: ($) => seq($._counted_by, ".", $.property),
    count_index: ($) => seq($._counted_by, "[", $._expr, "]"),
    group: ($) => seq("(", $.branch, repeat(seq("|", $.branch)), ")", optional(seq("as", $.label))),
    optional: ($) => seq("[", $._steps, $._when, "]"),
    branch: ($) => seq(optional(seq($.label, ":")), $._chain, optional($._when)),

    op: ($) => choice(word($, CALLED), $._joint, $.chosen),
    chosen: ($) => seq("(", alias($.chosen_op, $.op), "if", $._expr, "else", $._expr, ")"),
    chosen_op: ($) => $.identifier,
    _joint: ($) => choice("add", "mul", "concat", "fork", "choose"),

    ref: ($) => seq(choice($.name, $.string), repeat(seq(".", $._of_ref)), optional(seq("[", $._expr, "]"))),
    _of_ref: ($) => choice($.property, $.string, $._counted, $.number),
    result: ($) => seq($.ref, optional(seq("as", alias($.input_label, $.label)))),
    label: ($) =>
      seq(
        choice($._word, $.template, $.string),
        repeat(seq(".", choice($._word, $.template, $.string, $._counted, $.number))),
      ),
    _turns: ($) => list(choice($.name, seq("(", list($.name), ")"))),
    _targets: ($) => list($.name),

    // ------------------------------------------------------------ arguments and expressions

    _args: ($) => list($._arg),
    _arg: ($) => choice($._expr, $.keyword, $.stride, "train"),
    keyword: ($) => seq($.argument, "=", $._expr),
    argument: ($) => choice($._word, alias("train", $.identifier)),
    stride: ($) => seq("/", $._expr, optional("first")),

    _expr: ($) =>
      choice(
        $.ternary, $.binary, $.unary, $.attribute, $.index, $.slice, $.call, $.number, $.name, $.size, $.string,
        $._constant, $.choice, $.paren, $.list, $.comprehension,
      ),
    ternary: ($) => prec.right(1, seq($._expr, "if", $._expr, "else", $._expr)),
    binary: ($) =>
      choice(
        ...[
          [2, "or"],
          [3, "and"],
          [5, choice("==", "!=", "<=", ">=", "<", ">", "in", seq("not", "in"))],
          [6, choice("+", "-")],
          [7, choice("*", "/", "//", "%")],
        ].map(([level, operator]) => prec.left(level, seq($._expr, operator, $._expr))),
        prec.right(9, seq($._expr, "**", $._expr)),
      ),
    unary: ($) => choice(prec(4, seq("not", $._expr)), prec(8, seq(choice("+", "-"), $._expr))),
    attribute: ($) => prec(10, seq($._expr, ".", $.property)),
    property: ($) => choice($._word, $.template),
    index: ($) => prec(10, seq($._expr, "[", $._expr, "]")),
    slice: ($) => prec(10, seq($._expr, "[", optional($._expr), ":", optional($._expr), "]")),
    call: ($) => prec(10, seq(choice($.function, $._expr), "(", optional($._args), ")")),
    function: ($) => prec(1, $._word),
    choice: ($) => seq("choose", "(", list($._expr), ")"),
    paren: ($) => seq("(", $._expr, ")"),
    list: ($) => seq("[", optional(seq(list($._expr), optional(","))), "]"),
    comprehension: ($) =>
      seq("[", $._expr, "for", $._turns, "in", $._expr, optional(seq("if", $._expr)), "]"),
    _constant: ($) => choice("true", "false", "none"),

    // ------------------------------------------------------------ words

    identifier: () => /[A-Za-z_][A-Za-z0-9_]*/,
    _word: ($) => word($, WORDS),
    name: ($) => choice($._word, $.template),
    // the scanner takes the name if a brace follows at once
    template: ($) =>
      seq(
        alias($._template_name, $.identifier),
        repeat1(seq(token.immediate("{"), $._expr, "}", optional(alias($._rest, $.identifier)))),
      ),
    _rest: () => token.immediate(prec(1, /[A-Za-z0-9_]+/)),
    _counted: ($) => seq("{", $._expr, "}"),

    comment: () => /#[^\r\n]*/,
    number: () => /[0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]+)?([KMGT]i?B?)?/,
    size: () => /[0-9]+(x[0-9]+)+/,
    string: () => /"[^"\r\n]*"/,
  },
});
