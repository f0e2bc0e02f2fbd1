# ---- what is written ----

function error(words) {
	failed = 1
	if (words in is_printed)
		return
	is_printed[words] = 1
	print "stunnel2run: error: " words | "cat >&2"
}

function warning(words) {
	if (STRICT)
		error(words)
	else if (!(words in is_printed))
		print "stunnel2run: warning: " words | "cat >&2"
	is_printed[words] = 1
}

function print_listing(which, words, i, name) {
	print (which ? "[" section_name[which] "]" : "(no section)") (words == "" ? "" : " " words)
	for (i = 1; i <= line_n; i++) {
		name = line_name[i]
		if (line_section[i] != which && line_section[i] != 0)
			continue
		if (!(i in verdict_of))
			verdict_of[i] = line_section[i] == 0 && is_own(name, which) ? DEFAULT ": the section says otherwise" : "FORGOTTEN"
		if (verdict_of[i] == "FORGOTTEN" && (name in scope_of) && !failed)
			error(line_where[i] ": " line_spelled[i] ": no verdict (a fault of stunnel2run)")
		print "\t" line_where[i] "\t" line_spelled[i] " = " value_shown(i) "\t" verdict_of[i]
	}
}

function is_own(name, which, i) {
	for (i = 1; i <= line_n; i++)
		if (line_name[i] == name && line_section[i] == which)
			return 1
	return 0
}

function write_to(path, text) {
	printf "%s", text > path
	if (close(path) != 0 || output_of("wc -c <" shell_word(path)) + 0 != length(text)) # not every awk says so
		fail_system("write " path)
}

function make_folder(path) {
	if (system("mkdir " shell_word(path)) != 0)
		fail_system("make " path)
}

function fail_system(words) {
	print "stunnel2run: fatal: unable to " words | "cat >&2"
	close("cat >&2")
	exit_code = 111
	exit 111
}

function run_command(words) {
	if (system(words) != 0)
		fail_system("do: " words)
}

function folder_name(name) {
	name = which_name()
	if (name !~ /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/)
		error(section_where_of() ": its name cannot be that of a directory")
	return name
}

function which_name() {
	if (service)
		return section_name[service]
	return is_said("service") ? value_of("service") : "stunnel"
}

function write_service(name, at, i, text) {
	name = folder_name()
	if (failed)
		return
	at = MADE "/" name
	make_folder(at)
	if (rule_n) {
		text = "# from hosts.allow and hosts.deny; after a change: tcprules rules.cdb rules.tmp <rules\n"
		for (i = 1; i <= rule_n; i++)
			text = text rules[i] "\n"
		write_to(at "/rules", text)
		run_command("cd " shell_word(at) " && " shell_word(FOLDER "/tcprules") " rules.cdb rules.tmp <rules")
	}
	if (authorities_text != "")
		write_to(at "/authorities.pem", authorities_text)
	if (alternative_n)
		write_script(at "/serve", serve_text())
	if (is_client && proxy_user != "") {
		run_command("umask 077 && : >" shell_word(at "/proxy-user"))
		write_to(at "/proxy-user", proxy_user "\n")
		if (uid != "" && system("chown " uid " " shell_word(at "/proxy-user") " 2>/dev/null") != 0)
			warning(DIR "/" name "/proxy-user: user " uid " has to be able to read it, and cannot be made its owner")
	}
	if (UNITS)
		write_unit(name)
	else
		write_run(name, at)
}

function write_script(path, text) {
	write_to(path, "#!/bin/sh\n" text)
	run_command("chmod 755 " shell_word(path))
}

# By certificate and name, in this order.
function serve_text(i, text) {
	text = "# which of the services of this port, chosen by what the client has shown\n"
	for (i = 1; i <= alternative_n; i++)
		if (alternative_for[i] == "wrong certificate")
			text = text "case ${SSL_CLIENT_VERIFY-} in\nSUCCESS) ;;\n*) exec " alternatives[i] " ;;\nesac\n"
	text = text "case ${SSL_TLS_SNI_SERVERNAME-} in\n"
	for (i = 1; i <= alternative_n; i++)
		if (alternative_for[i] != "wrong certificate")
			text = text alternative_for[i] ") exec " alternatives[i] " ;;\n"
	return text "esac\n"
}

function write_run(name, at, text, n, i, list) {
	text = "# " (service ? "[" name "]" : "one connection") " of stunnel.conf, written by stunnel2run(8)\n"
	if (service)
		text = text "exec 2>&1\n"
	else
		text = text "cd " shell_word(DIR "/" name) " || exit 111\n" (log_file == "" ? "" : "exec 2>>" shell_word(log_file) "\n")
	text = text "PATH=" shell_word(FOLDER) ":$PATH\nexport PATH\n"
	make_folder(at "/env")
	run_command("chmod 700 " shell_word(at "/env")) # setEnv may have secrets in it
	n = sorted_names(list)
	for (i = 1; i <= n; i++)
		write_to(at "/env/" list[i], env[list[i]] "\n")
	if (n) {
		text = text "for reader in envdir s6-envdir \"chpst -e\"; do command -v ${reader%% *} >/dev/null && break; done\n"
		text = text "exec $reader ./env"
	} else
		text = text "exec"
	write_script(at "/run", text " " chain_words(1) "\n")
	if (!service)
		return
	make_folder(at "/log")
	write_script(at "/log/run", log_text(name))
}

function log_text(name) {
	if (log_file != "")
		return "exec cat >" (tolower(value_of("log")) == "overwrite" ? "" : ">") shell_word(log_file) "\n"
	if (log_facility != "")
		return "exec logger -t " shell_word(name) " -p " log_facility ".notice\n"
	return "mkdir -p main || exit 111\n" \
		"command -v s6-log >/dev/null && exec s6-log t s1000000 n10 ./main\n" \
		"command -v multilog >/dev/null && exec multilog t s1000000 n10 ./main\n" \
		"exec svlogd -tt ./main\n"
}

# The names of env in order.
function sorted_names(list, name, n, i) {
	n = 0
	for (name in env) {
		for (i = n++; i > 0 && list[i] > name; i--)
			list[i + 1] = list[i]
		list[i + 1] = name
	}
	return n
}

# ---- systemd ----

# Specifiers begin with a percent sign everywhere, variables with a dollar sign in ExecStart.
function unit_word(text, before) {
	if (text ~ "^[A-Za-z0-9_@+=:,./-]+$")
		return text
	before["\\"] = before["\""] = "\\"
	before["%"] = "%"
	before["$"] = "$"
	return "\"" escaped(text, before) "\""
}

function unit_setting(text, before) {
	before["\\"] = before["\""] = "\\"
	before["%"] = "%"
	return "\"" escaped(text, before) "\""
}

# Not a list of words: quotes stand for themselves.
function unit_path(text, before) {
	before["%"] = "%"
	return escaped(text, before)
}

function write_unit(name, text, n, i, list, colons) {
	if (!service) {
		error("without a section there is no port that systemd could listen on: see inetd mode in stunnel2run(8)")
		return
	}
	text = "[Unit]\nDescription=[" name "] of stunnel.conf, written by stunnel2run(8)\nAfter=network.target\n\n[Service]\n"
	text = text "WorkingDirectory=" unit_path(DIR "/" name) "\n"
	text = text "Environment=" unit_setting("PATH=" FOLDER ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") "\n"
	n = sorted_names(list)
	colons = ""
	for (i = 1; i <= n; i++)
		if (list[i] ~ /:/) # no name of a variable to systemd
			colons = colons " " unit_word(list[i] "=" env[list[i]])
		else
			text = text "Environment=" unit_setting(list[i] "=" env[list[i]]) "\n"
	text = text "ExecStart=" (colons == "" ? unit_word(FOLDER "/" chain[1]) : "/usr/bin/env" colons " " unit_word(FOLDER "/" chain[1]))
	for (i = 2; i <= chain_n; i++)
		text = text " " unit_word(chain[i])
	text = text "\n"
	if (log_file != "")
		text = text "StandardOutput=" (tolower(value_of("log")) == "overwrite" ? "truncate:" : "append:") unit_path(log_file) "\nStandardError=inherit\n"
	else if (log_facility != "")
		text = text "SyslogIdentifier=" name "\nSyslogFacility=" log_facility "\n"
	if (text ~ /[^ -~\n]/ || log_file ~ /\\$/)
		error(section_where_of() ": systemd passes over lines that are no UTF-8, and joins those that end in \\: only ASCII can be said here")
	text = text "KillMode=process\nRestart=always\nRestartPreventExitStatus=96 100\n\n[Install]\nWantedBy=multi-user.target\n"
	write_to(MADE "/" name ".service", text)
	run_command("chmod 600 " shell_word(MADE "/" name ".service")) # as env
}

# ---- the whole ----

function prepare(list, n, i) {
	CONF = ENVIRON["CONF"]
	LABEL = ENVIRON["LABEL"]
	DIR = ENVIRON["DIR"]
	MADE = ENVIRON["MADE"]
	FOLDER = ENVIRON["FOLDER"]
	STRICT = ENVIRON["STRICT"] == 1
	UNITS = ENVIRON["UNITS"] == 1
	HERE = ENVIRON["HERE"]
	USER_HOSTS_ALLOW = ENVIRON["USER_HOSTS_ALLOW"]
	USER_HOSTS_DENY = ENVIRON["USER_HOSTS_DENY"]
	TRANSLATED = "translated"
	DEFAULT = "default here"
	NONE = "no counterpart"
	REFUSED = "refused"
	WARNED = "warning"
	n = split("SO_KEEPALIVE=keepalive TCP_KEEPIDLE=keepidle TCP_KEEPINTVL=keepintvl TCP_KEEPCNT=keepcnt TCP_USER_TIMEOUT=usertimeout" \
		" SO_OOBINLINE=oobinline SO_RCVBUF=rcvbuf SO_SNDBUF=sndbuf IP_TOS=tos", list, " ")
	for (i = 1; i <= n; i++)
		sockopt_name[substr(list[i], 1, index(list[i], "=") - 1)] = substr(list[i], index(list[i], "=") + 1)
	n = split("sslv2 sslv3 tlsv1 tlsv1.1 all tlsv1.2 tlsv1.3", list, " ")
	for (i = 1; i <= n; i++)
		rank_of[list[i]] = i == 7 ? 3 : i == 6 ? 2 : i == 5 ? 1 : 0
	# 1: so in any case; 2: without effect here
	n = split("NO_SSLV2 NO_SSLV3 NO_TLSV1 NO_TLSV1_1 NO_TLSV1_2 NO_TLSV1_3 NO_DTLSV1 NO_DTLSV1_2 NO_COMPRESSION NO_TICKET NO_RENEGOTIATION" \
		" CIPHER_SERVER_PREFERENCE PRIORITIZE_CHACHA SINGLE_DH_USE SINGLE_ECDH_USE NO_SESSION_RESUMPTION_ON_RENEGOTIATION CLEANSE_PLAINTEXT" \
		" NO_ANTI_REPLAY DISABLE_TLSEXT_CA_NAMES", list, " ")
	for (i = 1; i <= n; i++)
		tls_option[list[i]] = 1
	n = split("ALL ALLOW_CLIENT_RENEGOTIATION ALLOW_NO_DHE_KEX ALLOW_UNSAFE_LEGACY_RENEGOTIATION CISCO_ANYCONNECT COOKIE_EXCHANGE" \
		" CRYPTOPRO_TLSEXT_BUG DONT_INSERT_EMPTY_FRAGMENTS ENABLE_KTLS ENABLE_MIDDLEBOX_COMPAT EPHEMERAL_RSA IGNORE_UNEXPECTED_EOF" \
		" LEGACY_SERVER_CONNECT MICROSOFT_BIG_SSLV3_BUFFER MICROSOFT_SESS_ID_BUG MSIE_SSLV2_RSA_PADDING NETSCAPE_CA_DN_BUG" \
		" NETSCAPE_CHALLENGE_BUG NETSCAPE_DEMO_CIPHER_CHANGE_BUG NETSCAPE_REUSE_CIPHER_CHANGE_BUG NO_ENCRYPT_THEN_MAC" \
		" NO_EXTENDED_MASTER_SECRET NO_QUERY_MTU PKCS1_CHECK_1 PKCS1_CHECK_2 SAFARI_ECDHE_ECDSA_BUG SSLEAY_080_CLIENT_DH_BUG" \
		" SSLREF2_REUSE_CERT_TYPE_BUG TLS_BLOCK_PADDING_BUG TLS_D5_BUG TLSEXT_PADDING TLS_ROLLBACK_BUG", list, " ")
	for (i = 1; i <= n; i++)
		tls_option[list[i]] = 2
	know_all()
}

function is_secondary() {
	return service && !yes_no("client", 0) && !is_said("accept") && is_said("sni")
}

function write_all() {
	for (service = section_n ? 1 : 0; service <= section_n; service++)
		if (!is_secondary()) {
			translate_service()
			print_listing(service)
			write_service()
		}
	for (service = 1; service <= section_n; service++)
		if (is_secondary() && !(service in is_done))
			error(section_where_of() ": sni: there is no service of this name with a port")
}

BEGIN {
	failed = line_n = section_n = exit_code = 0
	prepare()
	read_configuration(CONF, LABEL, 0)
	check_lines()
	if (!failed)
		write_all()
	close("cat >&2")
	exit exit_code ? exit_code : failed ? 96 : 0
}
