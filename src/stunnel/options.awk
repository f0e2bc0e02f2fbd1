# ---- which options there are ----

# names with blanks between them; scope: g global only, s sections and global, where it is the default of all sections
function know(scope, names, list, n, i) {
	n = split(names, list, " ")
	for (i = 1; i <= n; i++)
		scope_of[list[i]] = scope
}

# The same verdict whatever the value.
function know_simply(scope, names, kind, words, list, n, i) {
	know(scope, names)
	n = split(names, list, " ")
	for (i = 1; i <= n; i++) {
		simple_name[++simple_n] = list[i]
		simple_kind[list[i]] = kind
		simple_words[list[i]] = words
	}
}

function know_all(list, n, i) {
	know("g", "chroot debug fips log output setenv syslog engine service")
	know("s", "accept cafile capath cert checkemail checkhost checkip ciphers ciphersuites client connect crlpath crlfile curves exec" \
		" execargs failover ident key libwrap local ocsp ocspaia options protocol protocolauthentication protocoldomain protocolheader" \
		" protocolhost protocolpassword protocolusername pty redirect requirecert reset retry securitylevel setgid setuid sni socket" \
		" sslversion sslversionmax sslversionmin timeoutbusy timeoutclose timeoutconnect timeoutidle transparent transport verify" \
		" verifychain verifypeer")
	scope_of["debug"] = "s"
	know_simply("g", "egd rndbytes rndfile rndoverwrite", NONE, "random bytes come from the kernel")
	know_simply("g", "foreground", DEFAULT, "always in the foreground, for the supervisor")
	know_simply("g", "pid", NONE, "the supervisor knows its process")
	know_simply("g", "iconactive iconerror iconidle taskbar", NONE, "a matter of Windows")
	know_simply("g", "compression", NONE, "nothing is compressed: that has been an attack")
	know_simply("s", "logid", NONE, "lines of the log have process ids")
	know_simply("s", "stack", NONE, "there are processes, no threads")
	know_simply("s", "sessioncachesize sessioncachetimeout sessionresume sessiond ticketkeysecret ticketmacsecret", NONE,
		"no session is resumed: each has a handshake of its own")
	know_simply("s", "renegotiation", DEFAULT, "there is none")
	know_simply("s", "delay", DEFAULT, "names are looked up at each connection")
	know_simply("s", "ocspflag ocspnonce ocsprequire timeoutocsp", NONE, "only counts with OCSP, which is refused")
	know_simply("g", "enginectrl enginedefault provider providerparameter", REFUSED, "keys are in files, and cryptography in software")
	know_simply("s", "engineid enginenum", REFUSED, "keys are in files, and cryptography in software")
	know_simply("s", "caengine castore", REFUSED, "authorities are in files: CAfile, CApath")
	know_simply("s", "pskidentity psksecrets", REFUSED, "no engine here has pre-shared keys: use certificates, and verifyPeer")
	know_simply("s", "config", REFUSED, "a command for OpenSSL alone; there are options for versions, ciphers and verification")

	other_name["session"] = "sessioncachetimeout"
	other_name["curve"] = "curves"
	n = split("accept connect checkhost checkip checkemail options socket setenv sni config", list, " ")
	for (i = 1; i <= n; i++)
		adds_up[list[i]] = 1
	n = split("protocolpassword ticketkeysecret ticketmacsecret", list, " ")
	for (i = 1; i <= n; i++)
		is_secret[list[i]] = 1
	# what all names of a port have in common
	common_n = split("client verify verifychain verifypeer requirecert cafile capath crlfile crlpath checkhost checkip checkemail ocsp ocspaia" \
		" ciphers ciphersuites curves options sslversion sslversionmax sslversionmin securitylevel redirect protocol libwrap ident" \
		" timeoutidle timeoutbusy timeoutclose reset", in_common, " ")

	words_for["yes"] = 1
	words_for["no"] = 0
}

function check_lines(i, name) {
	for (i = 1; i <= line_n; i++) {
		name = line_name[i]
		if (!(name in scope_of))
			error(line_where[i] ": unknown option: " shown(line_spelled[i]))
		else if (scope_of[name] == "g" && line_section[i])
			error(line_where[i] ": " line_spelled[i] " stands before all sections, not in one")
	}
}

# ---- verdicts, line by line ----

# What was refused stays so.
function verdict(i, kind, words) {
	if (i in verdict_of && index(verdict_of[i], REFUSED ":") == 1)
		return
	if (kind == REFUSED)
		error(line_where[i] ": " line_spelled[i] " = " value_shown(i) ": " words)
	if (kind == WARNED)
		warning(line_where[i] ": " line_spelled[i] " = " value_shown(i) ": " words)
	verdict_of[i] = kind ": " words
}

function value_shown(i) { return line_name[i] in is_secret ? "(not shown)" : line_value[i] }

# The last line of the option counts, and what is said of it.
function say(name, kind, words, lines, n, i) {
	n = lines_of(name, lines)
	for (i = 1; i < n; i++)
		verdict_of[lines[i]] = DEFAULT ": said again in " line_where[lines[n]]
	if (n)
		verdict(lines[n], kind, words)
}

function say_each(name, kind, words, lines, n, i) {
	n = lines_of(name, lines)
	for (i = 1; i <= n; i++)
		verdict(lines[i], kind, words)
}

function say_simply(i, name) {
	for (i = 1; i <= simple_n; i++) {
		name = simple_name[i]
		say_each(name, simple_kind[name], simple_words[name])
	}
}

# ---- values ----

# 1, 0, or what there is without the option.
function yes_no(name, otherwise, value) {
	if (!is_said(name))
		return otherwise
	value = tolower(value_of(name))
	if (value in words_for)
		return words_for[value]
	say(name, REFUSED, "neither yes nor no")
	return otherwise
}

function is_number(text) { return text ~ /^[0-9]+$/ && length(text) < 10 }

# Not more than the programs here can count, which is days.
function seconds(name, otherwise, most) {
	if (!is_said(name))
		return otherwise
	if (is_number(value_of(name)))
		return value_of(name) + 0 > most ? most : value_of(name) + 0
	say(name, REFUSED, "not a number of seconds")
	return otherwise
}

# Paths are as if stunnel was started in the folder where this was.
function path_of(name, value) {
	value = value_of(name)
	if (value == "" || value ~ /^\//)
		return value
	return HERE "/" value
}

# [host:]port into host_found and port_found; false: it is not of that kind, and refused.
function take_address(i, host, text) {
	text = line_value[i]
	if (text ~ /^\//) {
		verdict(i, REFUSED, "a Unix socket: only TCP here")
		return 0
	}
	host_found = host
	port_found = text
	if (match(text, /:[^:]*$/)) {
		host_found = substr(text, 1, RSTART - 1)
		port_found = substr(text, RSTART + 1)
	}
	if (host_found ~ /^\[.*\]$/)
		host_found = substr(host_found, 2, length(host_found) - 2)
	if (port_found !~ /^[A-Za-z0-9_.+-]+$/ || host_found !~ /^[A-Za-z0-9:._%-]*$/ || host_found ~ /^-/ || port_found ~ /^-/ ||
		(port_found ~ /^[0-9]+$/ && port_found + 0 > 65535)) {
		verdict(i, REFUSED, "not an address: [host:]port")
		return 0
	}
	return 1
}
