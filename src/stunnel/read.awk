# ---- the configuration file: lines, sections, values ----
# line_n, line_name[], line_spelled[], line_value[], line_where[], line_section[]: what was said, in order.
# section_n, section_name[0..]: 0 is what stands before the first section.

function trimmed(text) {
	sub(/^[ \t\r]+/, "", text)
	sub(/[ \t\r]+$/, "", text)
	return text
}

# The text with before[c] before each character c; gsub has its own ideas of backslashes, in each awk another.
function escaped(text, before, i, c, all) {
	all = ""
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		all = all (c in before ? before[c] : "") c
	}
	return all
}

# Words for the shell; unit_word, in write.awk, is the same for systemd. In busybox a backslash before the slash would be one of the characters.
function shell_word(text, before) {
	if (text ~ "^[A-Za-z0-9_@%+=:,./-]+$")
		return text
	before["\047"] = "\047\\\047" # it ends, and another begins
	return "\047" escaped(text, before) "\047"
}

function ends_with(text, end) { return length(text) > length(end) && substr(text, length(text) - length(end) + 1) == end }

# The output of a command, its lines joined by newlines; sets command_failed, from a last line, as close does not tell in every awk.
function output_of(command, line, all, last, n) {
	command = "(" command "\n); echo =$?"
	all = last = ""
	for (n = 0; (command | getline line) > 0; n++) {
		if (n)
			all = all (n > 1 ? "\n" : "") last
		last = line
	}
	close(command)
	command_failed = last != "=0"
	return all
}

function read_configuration(path, label, depth, text, n, got) {
	if (output_of("tr -cd \"\\000\" <" shell_word(path) " | wc -c") > 0) { # some awks end a line there
		error(label ": control characters, zero bytes, in it")
		return
	}
	n = 0
	while ((got = (getline text < path)) > 0) {
		n++
		if (n == 1)
			sub(/^\357\273\277/, "", text)
		read_line(text, label ":" n, depth)
	}
	if (got < 0)
		error(label ": unable to read it")
	close(path)
}

function read_line(text, where, depth, at, name, value) {
	if (length(text) > 16383) # stunnel takes the rest, of a comment as well, for another line
		error(where ": a line too long for stunnel")
	text = trimmed(text)
	if (text == "" || text ~ /^[;#]/)
		return
	if (text ~ /^\[.*\]$/) {
		begin_section(substr(text, 2, length(text) - 2), where)
		return
	}
	at = index(text, "=")
	if (!at) {
		error(where ": neither a section nor option = value: " shown(text))
		return
	}
	name = trimmed(substr(text, 1, at - 1))
	value = trimmed(substr(text, at + 1))
	if (value ~ /[^ -~\200-\377]/ || name ~ /[^ -~]/) {
		error(where ": control characters in the line")
		return
	}
	if (tolower(name) == "include") {
		include(value, where, depth)
		return
	}
	line_n++
	line_spelled[line_n] = name
	line_name[line_n] = canonical(tolower(name))
	line_value[line_n] = value
	line_where[line_n] = where
	line_section[line_n] = section_n
}

# Of either age: some options have had other names.
function canonical(name) {
	if (name in other_name)
		return other_name[name]
	return name
}

function begin_section(name, where, i) {
	if (name == "" || name != trimmed(name) || name ~ /[^ -~]/)
		error(where ": not the name of a section")
	for (i = 1; i <= section_n; i++)
		if (section_name[i] == name)
			error(where ": section [" name "] is there twice")
	section_n++
	section_name[section_n] = name
	section_where[section_n] = where
}

# All files of a folder, those with a dot as well, in the order of their names.
function include(folder, where, depth, names, list, n, i) {
	if (depth >= 5) {
		error(where ": include: more than five within each other")
		return
	}
	if (folder !~ /^\//)
		folder = HERE "/" folder
	names = output_of("cd " shell_word(folder) " 2>/dev/null || exit 1; for f in * .*; do test -f \"$f\" && printf \"%s\\n\" \"$f\"; done | sort")
	if (command_failed) {
		error(where ": include = " folder ": unable to read it")
		return
	}
	n = split(names, list, "\n")
	for (i = 1; i <= n; i++)
		if (list[i] != "")
			read_configuration(folder "/" list[i], folder "/" list[i], depth + 1)
}

# Long lines, and those with secrets, are not repeated in messages.
function shown(text) { return length(text) > 60 ? substr(text, 1, 60) "..." : text }

# ---- what a service is told: its own lines, and before them those for all ----

# Numbers of the lines of an option that count for the service, in lines[1..n]: lists go on from the ones for all, anything else is
# said anew by the service.
function lines_of(name, lines, i, n, own) {
	n = own = 0
	for (i = 1; i <= line_n; i++)
		if (line_name[i] == name && line_section[i] == service)
			own = 1
	for (i = 1; i <= line_n; i++)
		if (line_name[i] == name && (line_section[i] == service || (line_section[i] == 0 && (!own || name in adds_up))))
			lines[++n] = i
	return n
}

# The last of them counts.
function value_of(name, lines, n) {
	n = lines_of(name, lines)
	return n ? line_value[lines[n]] : ""
}

function is_said(name, lines) { return lines_of(name, lines) > 0 }
