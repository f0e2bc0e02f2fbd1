# ---- from the options of a service to its chain ----
# chain[1..chain_n]: words; env[]: variables; rules[]: see hosts.awk; alternatives[]: chains of the script serve, in shell words.

function add(word) { chain[++chain_n] = word }

function add_all(words, list, n, i) {
	n = split(words, list, " ")
	for (i = 1; i <= n; i++)
		add(list[i])
}

function translate_service() {
	split("", chain)
	split("", env)
	split("", verdict_of)
	split("", rules)
	split("", alternatives)
	authorities_text = ""
	chain_n = rule_n = alternative_n = uses_root = names_wanted = wants_report = 0
	is_client = yes_no("client", 0)
	say("client", TRANSLATED, is_client ? "a client of TLS" : "a server of TLS")
	say_simply()
	what_is_not_for_all()
	logging()
	ids()
	endpoints()
	timeouts()
	versions()
	suites()
	certificate()
	if (is_client)
		judge_servers()
	else
		judge_clients()
	access()
	if (is_client)
		client_chain()
	else
		server_chain()
}

# Options whose value alone decides.
function what_is_not_for_all(value, lines, n, i) {
	say("engine", tolower(value_of("engine")) == "auto" ? NONE : REFUSED, "keys are in files, and cryptography in software")
	if (yes_no("fips", 0))
		say("fips", REFUSED, "no engine here is in a FIPS mode")
	else
		say("fips", DEFAULT, "no FIPS mode")
	say("transport", value_of("transport") == "tcp" ? DEFAULT : REFUSED, "there is only TCP")
	say("ident", REFUSED, "clients are not told apart by IDENT from any address; rules have user@address, see tcprules(1)")
	if (yes_no("ocspaia", 0))
		say("ocspaia", REFUSED, "nobody is asked about revocation: use lists, CRLfile")
	else
		say("ocspaia", DEFAULT, "OCSP is not asked")
	say("ocsp", REFUSED, "nobody is asked about revocation: use lists, CRLfile")
	say("checkemail", REFUSED, "certificates are checked for host names and addresses: checkHost, checkIP")
	say("service", service ? DEFAULT : TRANSLATED, service ? "the name of the section" : "the name of the directory")
	n = lines_of("setenv", lines)
	for (i = 1; i <= n; i++) {
		value = line_value[lines[i]]
		if (value !~ /^[A-Za-z_][A-Za-z0-9_]*=/ || value ~ /^(CERT|KEY|CA|CCA|CRL|DH|SSL|TLS|CIPHERS|VERIFYDEPTH|UCSPI|LD_|TCP|PROTO|DNS|PROXY|LISTEN_|MAXCONIP|STARTTLS_|LOCALDOMAIN)/ || \
			value ~ /^(PATH|IFS|ENV|BASH_ENV|SHELLOPTS|BASHOPTS|PS4)=/)
			verdict(lines[i], REFUSED, "not NAME=value, or a variable of TLS, of the chain or of the shell")
		else {
			env[substr(value, 1, index(value, "=") - 1)] = substr(value, index(value, "=") + 1)
			verdict(lines[i], TRANSLATED, "in the environment")
		}
	}
}

# ---- the log, and as whom ----

function logging(level, facility, file) {
	is_verbose = 1
	facility = log_facility = log_file = ""
	if (is_said("debug")) {
		level = tolower(value_of("debug"))
		if (match(level, /^[a-z0-9]+\./)) {
			facility = substr(level, 1, RLENGTH - 1)
			level = substr(level, RLENGTH + 1)
		}
		if (level !~ /^([0-7]|emerg|alert|crit|err|warning|notice|info|debug)$/ ||
			(facility != "" && facility !~ /^(auth|authpriv|cron|daemon|ftp|kern|lpr|mail|news|syslog|user|uucp|local[0-7])$/))
			say("debug", REFUSED, "not [facility.]level")
		else {
			is_verbose = level ~ /^([5-7]|notice|info|debug)$/
			say("debug", TRANSLATED, (is_verbose ? "-v" : "errors are logged, connections are not") (facility == "" ? "" : "; syslog: " facility))
			log_facility = facility
		}
	}
	if (yes_no("syslog", 0) && log_facility == "")
		log_facility = "daemon"
	say("syslog", TRANSLATED, yes_no("syslog", 0) ? "the log goes to logger" : "the log stays with the supervisor")
	if (is_said("syslog") && !yes_no("syslog", 0))
		log_facility = ""
	file = path_of("output")
	if (file == "/dev/stdout" || file == "/dev/stderr")
		say("output", DEFAULT, "the log stays with the supervisor")
	else if (file != "") {
		log_file = file
		say("output", TRANSLATED, "the log goes there")
	}
	say("log", tolower(value_of("log")) ~ /^(append|overwrite)$/ ? TRANSLATED : REFUSED, log_file == "" ? "there is no output" : "as there")
}

function number_of(name, what, value, found) {
	value = value_of(name)
	if (value == "" || is_number(value))
		return value
	if (value ~ /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/) {
		found = what == "user" ? output_of("id -u -- " value " 2>/dev/null") : output_of("getent group " value " | cut -d: -f3")
		if (is_number(found))
			return found
	}
	say(name, REFUSED, "there is no such " what " on this machine")
	return ""
}

function ids(own) {
	uid = gid = ""
	if (!accepts()) { # nothing here is started as root and gives it up
		say("setuid", REFUSED, "whoever starts this says as whom, an inetd, s6-setuidgid or chpst -u: say it there, and take the line out")
		say("setgid", REFUSED, "whoever starts this says as whom, an inetd, s6-setuidgid or chpst -u: say it there, and take the line out")
		return
	}
	own = service
	service = 0 # those of a section are of its Unix socket, and change nothing of what is said for all
	uid = number_of("setuid", "user")
	gid = number_of("setgid", "group")
	say("setuid", TRANSLATED, "-u " uid)
	say("setgid", TRANSLATED, "-g " gid)
	service = own
	if (is_own("setuid", service))
		say("setuid", WARNED, "of a Unix socket; who runs the service is said before all sections, there as well")
	if (is_own("setgid", service))
		say("setgid", WARNED, "of a Unix socket; who runs the service is said before all sections, there as well")
	if (uid + 0 == 0)
		uid = ""
	if (gid + 0 == 0) # of whoever starts it, root
		gid = ""
	if (!is_client && uid != "") { # the key is opened as root, as there
		env["SSL_UID"] = uid
		if (gid != "")
			env["SSL_GID"] = gid
	}
}

# ---- endpoints ----

function accepts() { return service && is_said("accept") }

function endpoints(lines, n, i) {
	accept_host = accept_port = ""
	if (!service && is_said("accept"))
		say("accept", REFUSED, "without a section there is the connection of an inetd, and no port")
	else if (is_said("accept")) {
		n = lines_of("accept", lines)
		if (n > 1)
			say("accept", REFUSED, "listens on " n " addresses there: make a section of each")
		else if (take_address(lines[n], "0")) {
			accept_host = host_found == "" ? "0" : host_found == "::" ? ":0" : host_found
			accept_port = port_found
			say("accept", TRANSLATED, (is_client ? "tcpserver " : "sslserver ") accept_host " " accept_port)
		}
	}
	target_n = 0
	n = lines_of("connect", lines)
	target_path = ""
	for (i = 1; i <= n; i++)
		if (line_value[lines[i]] ~ /^\//) {
			target_path = line_value[lines[i]]
			target_n++
			verdict(lines[i], n > 1 ? REFUSED : TRANSLATED, n > 1 ? "a Unix socket has to be the only target" : "unixclient")
		} else if (take_address(lines[i], "localhost")) {
			target_host[++target_n] = host_found == "" ? "localhost" : host_found
			target_port[target_n] = port_found
			verdict(lines[i], TRANSLATED, "connects to " target_host[target_n] " " port_found)
		}
	if (target_n > 16)
		say("connect", REFUSED, "at most 16 targets")
	program = path_of("exec")
	say("exec", TRANSLATED, "prog of the chain")
	say("execargs", program == "" ? WARNED : TRANSLATED, program == "" ? "there is no exec" : "its arguments")
	if (program != "" && is_said("chroot"))
		say("chroot", REFUSED, "exec would run outside of it: let the program enter it by itself")
	say("pty", yes_no("pty", 0) ? TRANSLATED : DEFAULT, yes_no("pty", 0) ? "ptyrun" : "no terminal")
	if (yes_no("pty", 0) && program == "")
		say("pty", WARNED, "there is no exec")
	if (!target_n && program == "" && tolower(value_of("transparent")) !~ /^(destination|both)$/ && tolower(value_of("protocol")) != "socks" && !failed)
		error(section_where_of() ": neither connect nor exec")
	if (target_n && program != "" && service && accepts())
		error(section_where_of() ": accept, connect and exec: one too many")
	failover()
	transparent()
	sockets()
	if (target_path != "")
		say("local", NONE, "a Unix socket has no such address")
	else
		say("local", value_of("local") ~ /^[0-9A-Fa-f:.]+$/ ? TRANSLATED : REFUSED, value_of("local") ~ /^[0-9A-Fa-f:.]+$/ ? "-i" : "not an address")
}

function section_where_of() { return service ? section_where[service] ": [" section_name[service] "]" : LABEL }

function failover(how) {
	how = tolower(value_of("failover"))
	if (how != "" && how != "rr" && how != "prio")
		say("failover", REFUSED, "neither rr nor prio")
	else
		say("failover", TRANSLATED, how == "rr" ? "tcprr" : "tcpprio")
	in_turn = how == "rr"
}

function transparent(how) {
	how = tolower(value_of("transparent"))
	is_transparent = 0
	if (how == "none" || how == "no")
		say("transparent", DEFAULT, "connections come from this machine")
	else if (how == "source" || how == "yes") {
		if (program != "")
			say("transparent", REFUSED, "a program cannot be made to see another address: it has REMOTE_HOST")
		else if (is_client || !accepts() || uid != "" || target_path != "")
			say("transparent", REFUSED, "needs a server with accept and connect, as root, without setuid, there as well")
		else {
			is_transparent = 1
			say("transparent", TRANSLATED, "sockopt -b transparent; routes as before")
		}
	} else
		say("transparent", REFUSED, "destinations of iptables are not asked for: name the target by connect")
}

# socket = a|l|r:NAME=value[:value]: sockopt_for["listener"], ["target"]
function sockets(lines, n, i, text, side, name, value, setting) {
	sockopt_for["listener"] = sockopt_for["target"] = ""
	delays["listener"] = delays["target"] = 0
	n = lines_of("socket", lines)
	for (i = 1; i <= n; i++) {
		text = line_value[lines[i]]
		if (text !~ /^[alr]:[A-Za-z0-9_]+=.*$/) {
			verdict(lines[i], REFUSED, "not a|l|r:option=value")
			continue
		}
		side = substr(text, 1, 1) == "r" ? "target" : "listener"
		name = toupper(substr(text, 3, index(text, "=") - 3))
		value = substr(text, index(text, "=") + 1)
		if (tolower(value) in words_for)
			value = words_for[tolower(value)]
		if (side == "target" && target_path != "") {
			verdict(lines[i], NONE, "an option of TCP connections")
			continue
		}
		if (side == "target" && !target_n) {
			verdict(lines[i], NONE, "connects to nobody")
			continue
		}
		setting = socket_setting(name, value, substr(text, 1, 1))
		if (setting == "?")
			verdict(lines[i], REFUSED, "sockopt(8) has no such option, or not with this value")
		else if (setting == "")
			verdict(lines[i], DEFAULT, "always so")
		else if (setting == "-d") {
			delays[side] = 1
			verdict(lines[i], TRANSLATED, "-d")
		} else {
			sockopt_for[side] = sockopt_for[side] (sockopt_for[side] == "" ? "" : ",") setting
			verdict(lines[i], TRANSLATED, "sockopt -b " setting)
		}
	}
}

# A setting of sockopt(8); "": so by default; "-d"; "?": not known.
function socket_setting(name, value, side, two) {
	if (name == "SO_LINGER" && split(value, two, ":") == 2 && is_number(two[1]) && is_number(two[2]))
		return "linger=" (two[1] ? two[2] + 0 : "off")
	if (name == "SO_BINDTODEVICE" && value ~ /^[A-Za-z0-9._-]+$/ && side != "l")
		return "bindtodevice=" value
	if (!is_number(value))
		return "?"
	if (name == "TCP_NODELAY")
		return side == "a" || value + 0 ? "" : "-d"
	if (name == "SO_REUSEADDR" && value + 0)
		return ""
	if (name == "IP_FREEBIND" && side != "l")
		return "freebind=" value
	if (name == "IPV6_V6ONLY" && side == "a" && !(value + 0) && accept_host == ":0")
		return ""
	if (name == "IPV6_V6ONLY" && side == "a" && value + 0 && accept_host == ":0") {
		accept_host = "::"
		return ""
	}
	if (name in sockopt_name)
		return sockopt_name[name] "=" (value + 0)
	return "?"
}

# ---- times ----

function timeouts(n) {
	idle = seconds("timeoutidle", 43200, 2000000)
	if (!idle)
		say("timeoutidle", REFUSED, "nothing would be let through, there neither")
	say("timeoutidle", TRANSLATED, "-w " idle)
	busy = seconds("timeoutbusy", 300, 1000000)
	if (is_said("timeoutbusy"))
		env["TLS_TIMEOUT"] = busy ? busy : 1
	say("timeoutbusy", TRANSLATED, "TLS_TIMEOUT, for the handshake")
	n = seconds("timeoutclose", 0, 1000000)
	if (n)
		env["TLS_LINGER"] = n
	say("timeoutclose", n ? TRANSLATED : DEFAULT, n ? "TLS_LINGER" : "nobody waits for a close_notify")
	connect_s = seconds("timeoutconnect", 10, 86400)
	if (connect_s < 1)
		connect_s = 1
	say("timeoutconnect", TRANSLATED, "-T " connect_s)
	if (yes_no("reset", 1) && target_n)
		env["TLS_RESET"] = 1
	say("reset", TRANSLATED, yes_no("reset", 1) ? "TLS_RESET=1" : "no TLS_RESET")
}
