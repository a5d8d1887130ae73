; Each word and sign is of one kind; editors fall back from @type.block to @type.

(comment) @comment
(string) @string
(number) @number
(size) @number.size
["true" "false" "none"] @boolean

[
  "and" "as" "choose" "def" "elif" "else" "for" "from" "if" "import" "in" "not" "or" "return" "train" "when"
  "decide" "default" "init" "input" "meta" "order" "output" "require" "stage" "weight"
  "block" "inline" "net" "table" "variant"
  "first" "same"
] @keyword

["->" "=" "|" "@" "*" "/" "+" "-" "**" "//" "%" "==" "!=" "<=" ">=" "<" ">"] @operator
["(" ")" "[" "]" "{" "}"] @punctuation.bracket
["," ":" "."] @punctuation.delimiter

(op (identifier) @function.call)
["add" "mul" "concat" "fork"] @function.call
(function (identifier) @function)
(def name: (identifier) @function)
(block name: (identifier) @type.block)
(net name: (identifier) @type.block)
(variant name: (identifier) @type.variant)
(variant net: (identifier) @type.block)
(table name: (identifier) @type.table)
(type (identifier) @type.builtin)

(label (identifier) @label)
(label (template (identifier) @label))
(parameter (identifier) @variable.parameter)
(argument (identifier) @variable.argument)
(path (identifier) @variable.argument)
(property (identifier) @property)
(property (template (identifier) @property))
(annotation name: (identifier) @attribute)
(name (identifier) @variable)
(name (template (identifier) @variable))
