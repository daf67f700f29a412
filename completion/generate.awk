# SPDX-License-Identifier: MIT
# awk -v program=PROGRAM -v shell=bash|zsh|fish -f generate.awk TEMPLATE: the template, and in place
# of its line @TABLE@ the commands and options that PROGRAM's help lists, which is printed from the
# tables that its parser reads.

# What is completed for an argument or operand: a word that the templates know, or the words
# themselves with commas.  KERNEL is a VERSION that may not be 'all'.
function kind_of(name, argument, help)
{
	if (argument == "VERSION" && help !~ /'all'/)
		return "KERNEL"
	if (name == "hash")
		return "sha256,sha384,sha512,sha3-256,sha3-384,sha3-512"
	if (argument == "TYPE")
		return "rsa,ecdsa,mldsa-44,mldsa-65,mldsa-87"
	if (argument ~ /FILE/)
		return "FILE"
	if (argument ~ /^(DIR|DEST)$/)
		return "DIR"
	return argument ~ /^(VERSION|MODULE)$/ ? argument : "NONE"
}

# Operands as usage has them: "[MODULE...]", "DEST", "enable|disable [PACKAGE...] | gate DIR".
function operands_of(text,   words)
{
	while (match(text, /[a-z][a-z-]+/)) {
		words = words "," substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
	}
	gsub(/[^A-Z]/, "", text)
	return words ? substr(words, 2) : kind_of("", text)
}

# "  -k, --kernel VERSION     the kernel in question"
function add_option(command, line,   n, letter, name, argument)
{
	sub(/^ +/, "", line)
	if (line ~ /^-[A-Za-z], /) {
		letter = substr(line, 2, 1)
		line = substr(line, 5)
	}
	match(line, /^--[a-z0-9-]+/)
	name = substr(line, 3, RLENGTH - 2)
	line = substr(line, RLENGTH + 1)
	if (match(line, /^ [A-Z][A-Z|]*/)) {
		argument = substr(line, 2, RLENGTH - 1)
		line = substr(line, RLENGTH + 1)
	}
	sub(/^ +/, "", line)
	n = ++options[command]
	letter_of[command, n] = letter
	name_of[command, n] = name
	argument_of[command, n] = argument
	help_of[command, n] = line
	kind_of_option[command, n] = argument ? kind_of(name, argument, line) : ""
}

function read_help(command,   call, line, section, name)
{
	call = "'" program "' " command " --help"
	while ((call | getline line) > 0) {
		if (line ~ /^Usage: /) {
			sub(/.*\[OPTIONS\] */, "", line)
			operands[command] = operands_of(line)
		} else if (line ~ /^[A-Z][a-z]+:$/) {
			section = line
		} else if (section == "Options:" && line ~ /^ +-/) {
			add_option(command, line)
		} else if (section == "Commands:" && line ~ /^  [a-z]/) {
			sub(/^ +/, "", line)
			name = line
			sub(/ .*/, "", name)
			sub(/^[^ ]+ +/, "", line)
			command_of[++commands] = name
			summary[name] = line
		}
	}
	if (close(call) || !options[command])
		exit failed = 1
}

function quote(text)
{
	gsub(/'/, shell == "fish" ? "\\'" : "'\\''", text)
	return "'" text "'"
}

function spaced(words)
{
	gsub(/,/, " ", words)
	return words
}

# bash: sign) options='-k=VERSION --kernel=VERSION --all ...' operands='MODULE' ;;

function bash_command(command,   i, value, text)
{
	for (i = 1; i <= options[command]; i++) {
		value = kind_of_option[command, i]
		value = value ? "=" value : ""
		if (letter_of[command, i])
			text = text " -" letter_of[command, i] value
		text = text " --" name_of[command, i] value
	}
	printf "\t%s) options='%s' operands='%s' ;;\n", command ? command : "''", substr(text, 2),
		operands[command]
}

function bash_table(   i, names)
{
	for (i = 1; i <= commands; i++) {
		names = names "," command_of[i]
		bash_command(command_of[i])
	}
	operands[""] = substr(names, 2)
	bash_command("")
}

# zsh: arguments of _arguments

function zsh_action(kind)
{
	if (kind == "FILE")
		return "_files"
	if (kind == "DIR")
		return "_files -/"
	if (kind == "VERSION")
		return "_kernel_sign_kernels_or_all"
	if (kind == "KERNEL")
		return "_kernel_sign_kernels"
	if (kind == "MODULE")
		return "_kernel_sign_modules"
	return kind == "NONE" ? " " : "(" spaced(kind) ")"
}

function zsh_option(command, i,   letter, name, value, kind, help, text, several)
{
	letter = letter_of[command, i]
	name = "--" name_of[command, i]
	value = argument_of[command, i]
	kind = kind_of_option[command, i]
	help = help_of[command, i]
	gsub(/[][]/, "\\\\&", help)
	text = quote("[" help "]" (value ? ":" value ":" zsh_action(kind) : ""))
	several = kind == "FILE" ? "*" : ""
	if (!letter)
		return "'" several name (value ? "=" : "") "'" text
	return "'" (several ? several : "(-" letter " " name ")") "'{-" letter \
		(value ? "+," name "=" : "," name) "}" text
}

function zsh_operands(command,   kind, text, i)
{
	if (!command) {
		for (i = 1; i <= commands; i++)
			text = text " " command_of[i] "\\:\"" summary[command_of[i]] "\""
		return quote("1:command:((" substr(text, 2) "))")
	}
	kind = operands[command]
	if (kind ~ /^[a-z]/)
		return quote("1: :(" spaced(kind) ")") " '*: :_files -/'"
	return quote("*: :" zsh_action(kind))
}

function zsh_command(command,   i)
{
	printf "\t%s) _arguments -s :", command ? command : "''"
	for (i = 1; i <= options[command]; i++)
		printf " \\\n\t\t%s", zsh_option(command, i)
	printf " %s ;;\n", zsh_operands(command)
}

function zsh_table(   i)
{
	zsh_command("")
	for (i = 1; i <= commands; i++)
		zsh_command(command_of[i])
}

# fish: lines of complete

function fish_words(kind)
{
	if (kind == "DIR")
		return "(__fish_complete_directories (commandline -ct) \"\")"
	if (kind == "VERSION")
		return "(__kernel_sign_kernels all)"
	if (kind == "KERNEL")
		return "(__kernel_sign_kernels)"
	if (kind == "MODULE")
		return "(__kernel_sign_modules)"
	return spaced(kind)
}

function fish_option(command, i,   kind)
{
	printf "complete -c kernel-sign -n '__kernel_sign_in \"%s\"'", command
	if (letter_of[command, i])
		printf " -s %s", letter_of[command, i]
	printf " -l %s", name_of[command, i]
	if (argument_of[command, i]) {
		kind = kind_of_option[command, i]
		if (kind == "FILE")
			printf " -r -F"
		else if (kind == "NONE")
			printf " -x"
		else
			printf " -x -a %s", quote(fish_words(kind))
	}
	printf " -d %s\n", quote(help_of[command, i])
}

function fish_operands(condition, kind)
{
	if (kind != "NONE")
		printf "complete -c kernel-sign -n %s %s\n", quote(condition),
			kind == "FILE" ? "-F" : "-a " quote(fish_words(kind))
}

function fish_command(command,   i, condition, kind)
{
	for (i = 1; i <= options[command]; i++)
		fish_option(command, i)
	if (!command)
		return
	printf "complete -c kernel-sign -n '__kernel_sign_in \"\"' -a %s -d %s\n", command,
		quote(summary[command])
	condition = "__kernel_sign_in " command
	kind = operands[command]
	if (kind ~ /^[a-z]/) {
		fish_operands(condition "; and __fish_seen_subcommand_from " spaced(kind), "DIR")
		condition = condition "; and not __fish_seen_subcommand_from " spaced(kind)
	}
	fish_operands(condition, kind)
}

function fish_table(   i)
{
	fish_command("")
	for (i = 1; i <= commands; i++)
		fish_command(command_of[i])
}

BEGIN {
	read_help("")
	for (i = 1; i <= commands; i++) {
		# It speaks as the kernel's tool does, and has no such help.
		if (command_of[i] == "sign-file")
			operands["sign-file"] = "FILE"
		else
			read_help(command_of[i])
	}
	if (!commands)
		exit failed = 1
}

/@TABLE@/ {
	if (shell == "bash")
		bash_table()
	else if (shell == "zsh")
		zsh_table()
	else
		fish_table()
	next
}

{ print }

END { exit failed }
