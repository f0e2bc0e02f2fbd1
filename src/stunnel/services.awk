# ---- chains ----

function add_before_listener() {
	if (sockopt_for["listener"] != "") {
		add_all("sockopt -b")
		add(sockopt_for["listener"])
	}
}

function add_listener(name) {
	add_before_listener()
	add(name)
	add_all((is_verbose ? "-v" : "-Q") " -R " (names_wanted ? "-hp" : "-H") " -l0 -c 500" (delays["listener"] ? " -d" : ""))
	if (uid != "")
		add_all("-u " uid)
	if (gid != "")
		add_all("-g " gid)
	if (rule_n)
		add_all("-x rules.cdb")
}

# Towards the targets: six and seven.
function add_client(name, more) {
	if (target_path != "") {
		add_all("unixclient -T " connect_s)
		add(target_path)
		return
	}
	if (is_transparent) {
		add_all("sh -c")
		add("exec sockopt -b " (sockopt_for["target"] == "" ? "" : sockopt_for["target"] ",") "transparent " name \
			" -i \"$SSLREMOTEIP\" \"$@\"")
		add("sh")
	} else {
		if (sockopt_for["target"] != "") {
			add_all("sockopt -b")
			add(sockopt_for["target"])
		}
		add(name)
	}
	add_all("-RHl0 -T " connect_s (delays["target"] ? " -d" : ""))
	if (is_said("local"))
		add_all("-i " value_of("local"))
	add_all(more)
}

function add_targets(i) {
	if (target_path != "")
		return
	for (i = 1; i <= target_n; i++) {
		add(target_host[i])
		add(target_port[i])
	}
	if (target_n > 1)
		add("--")
}

function many() { return target_n < 2 ? "" : in_turn ? "tcprr" : "tcpprio" }

# What a program of stunnel finds in its environment, and its name.
function add_program(list, n, i) {
	if (service ? accepts() && !is_client : 0) {
		add_all("sh -c")
		add("REMOTE_HOST=$SSLREMOTEIP REMOTE_PORT=$SSLREMOTEPORT; export REMOTE_HOST REMOTE_PORT; exec \"$@\"")
		add("sh")
	}
	if (yes_no("pty", 0))
		add("ptyrun")
	n = split(value_of("execargs"), list, /[ \t]+/)
	if (n && list[1] != program)
		add_all("argv0 " (list[1] ~ /^-/ ? "-- " : "") list[1])
	add(program)
	for (i = 2; i <= n; i++)
		add(list[i])
}

function say_protocol_details(only, list, n, i) {
	n = split("protocolauthentication protocoldomain protocolheader protocolhost protocolpassword protocolusername", list, " ")
	for (i = 1; i <= n; i++)
		if (!is_said("protocol"))
			say(list[i], NONE, "counts with protocol only")
		else if (!index(" " only " ", " " list[i] " "))
			say(list[i], REFUSED, "has no counterpart with this protocol")
}

# ---- servers ----

function server_chain(protocol) {
	protocol = server_protocol()
	say("sni", REFUSED, "this service has a port of its own")
	say("retry", NONE, "counts with client, connect and exec only")
	if (accepts())
		add_listener("sslserver")
	else {
		add("tlsd")
		add_all("-v " (is_verbose ? 1 : 0) " -K " idle "000")
	}
	if (service && !accepts())
		error(section_where_of() ": a server without accept" (is_said("sni") ? "" : " or sni"))
	if (accepts()) {
		add_all("-w " idle)
		if (protocol != "" && protocol != "proxy")
			add("-n")
		if (wants_report || (program != "" && "CCAVERIFY" in env))
			add("-s")
		add(accept_host)
		add(accept_port)
	}
	split_by_name(protocol)
}

# smtp and its like, "proxy", or "".
function server_protocol(protocol) {
	protocol = tolower(value_of("protocol"))
	say_protocol_details("")
	if (protocol == "")
		return ""
	if (protocol == "proxy" && target_n) {
		say("protocol", TRANSLATED, "proxysend -1")
		return protocol
	}
	if (protocol !~ /^(smtp|pop3|imap|pgsql|cifs)$/ || !target_n) {
		say("protocol", REFUSED, protocol ~ /^(connect|nntp)$/ ? "a matter of clients, there as well" : \
			protocol ~ /^(capwin|socks|ldap|proxy)$/ || !target_n ? "there is no such link" : "not a protocol of stunnel")
		return ""
	}
	if (!accepts()) {
		say("protocol", REFUSED, "for one connection use ucspitlsd and starttlsd")
		return ""
	}
	say("protocol", TRANSLATED, "starttlsd " protocol ", which demands TLS")
	return protocol
}

function add_server_end(protocol) {
	if (program != "") {
		add_program()
		return
	}
	if (protocol == "proxy")
		add_all("proxysend -p1")
	else if (protocol != "")
		add_all("starttlsd -T " (busy ? busy : 1) " " protocol)
	add_client(many() == "" ? "tcpclient" : many())
	add_targets()
	if (protocol == "proxy")
		add("proxysend")
	add_all("relay -w 0")
}

# The chain as it goes on behind the listener: by itself, or, where it depends on the name or the certificate, from serve.
function split_by_name(protocol, i, own, front, most, saved) {
	for (i = 1; i <= section_n && !is_primary(i); i++)
		;
	if (i > section_n && !wants_report) {
		add_server_end(protocol)
		return
	}
	front = chain_n
	if (wants_report)
		alternative("wrong certificate", elsewhere_words())
	own = service
	name_n = 0
	for (i = 1; i <= section_n; i++)
		if (is_primary(i)) {
			for (most = 1; most <= line_n; most++)
				saved[most] = verdict_of[most]
			secondary(own, i, front)
			service = own
			for (most = 1; most <= line_n; most++)
				verdict_of[most] = saved[most]
		}
	endpoints() # those of the service itself again
	timeouts()
	chain_n = front
	add_server_end(protocol)
	alternative("*", chain_words(front + 1))
	chain_n = front
	add("./serve")
}

# Whether section i has names on the port of this service.
function is_primary(i, lines, n, own, found) {
	if (!service || i == service)
		return 0
	own = service
	found = 0
	service = i
	n = is_said("accept") ? 0 : lines_of("sni", lines)
	for (; n > 0; n--)
		if (index(line_value[lines[n]], section_name[own] ":") == 1)
			found = 1
	service = own
	return found
}

function secondary(own, i, front, lines, n, j, k, name, patterns, value) {
	for (k = 1; k <= common_n; k++) {
		name = in_common[k]
		service = own
		value = is_said(name) ? values_of(name) : ""
		service = i
		if (values_of(name) != value) {
			if (is_said(name))
				say(name, REFUSED, "differs from that of [" section_name[own] "], whose port it shares: give it a port of its own")
			else
				error(section_where[i] ": [" section_name[i] "] is without " name ", which [" section_name[own] "] has, whose port it shares")
		} else
			say_each(name, DEFAULT, "as of [" section_name[own] "]")
	}
	say_simply()
	what_is_not_for_all()
	logging()
	if (yes_no("libwrap", 0))
		say("libwrap", REFUSED, "would be asked a second time for this name: give it a port of its own")
	say("setuid", NONE, "as of [" section_name[own] "]")
	say("setgid", NONE, "as of [" section_name[own] "]")
	is_transparent = 0
	endpoints()
	timeouts()
	n = lines_of("sni", lines)
	for (j = 1; j <= n; j++) {
		name = tolower(substr(line_value[lines[j]], length(section_name[own]) + 2))
		if (index(line_value[lines[j]], section_name[own] ":") != 1)
			verdict(lines[j], REFUSED, "names on the ports of two services: make two sections of it")
		else if (name !~ /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/)
			verdict(lines[j], REFUSED, "not a host name, or *. and the end of one")
		else {
			for (k = 1; k <= name_n; k++)
				if (name == name_taken[k] || (name_taken[k] ~ /^\*/ && ends_with(name, substr(name_taken[k], 2))))
					verdict(lines[j], REFUSED, name_taken[k] " stands before it, and has this name, too")
			name_taken[++name_n] = name
			certificate_as(":" name)
			patterns = patterns (patterns == "" ? "" : " | ") name
			verdict(lines[j], TRANSLATED, "by CERTFILE:" name " and in serve" (name ~ /^\*/ ? "; its certificate counts for one label" : ""))
		}
	}
	if (!is_said("cert"))
		error(section_where[i] ": [" section_name[i] "]: no cert: a server needs one")
	say_protocol_details("")
	chain_n = front
	add_server_end(tolower(value_of("protocol")) == "proxy" ? "proxy" : "")
	alternative(patterns, chain_words(front + 1))
	print_listing(i, "on the port of [" section_name[own] "]")
	is_done[i] = 1
}

function values_of(name, lines, n, i, all) {
	n = lines_of(name, lines)
	all = ""
	for (i = 1; i <= n; i++)
		all = all (i > 1 ? "\n" : "") line_value[lines[i]]
	return all
}

function alternative(pattern, words) {
	alternatives[++alternative_n] = words
	alternative_for[alternative_n] = pattern
}

function chain_words(from, i, text) {
	text = ""
	for (i = from; i <= chain_n; i++)
		text = text (i > from ? " " : "") shell_word(chain[i])
	return text
}

function elsewhere_words() { return "tcpclient -RHl0 -T " connect_s " " shell_word(elsewhere_host) " " elsewhere_port " relay -w 0" }

# ---- clients ----

function client_chain(protocol) {
	protocol = client_protocol()
	if (is_said("sni") && tolower(value_of("sni")) ~ /:/)
		say("sni", REFUSED, "of a server")
	if (accepts())
		add_listener("tcpserver")
	if (accepts()) {
		add(accept_host)
		add(accept_port)
	}
	if (program != "" && service && accepts())
		error(section_where_of() ": a client with accept and exec")
	if (!target_n)
		error(section_where_of() ": a client without connect")
	if (protocol == "connect") {
		add_client("tcpclient")
		add_targets()
		add_all("httpconnect -T " (busy ? busy : 1) (proxy_user == "" ? "" : " -a proxy-user"))
		add(proxy_to_host)
		add(proxy_to_port)
		add_tls_client()
	} else if (many() == "" && target_path == "") {
		add_client("sslclient", (is_verbose ? "-v" : "") " -w " idle (protocol == "" ? "" : " -y"))
		add_targets()
	} else {
		add_client(many())
		add_targets()
		add_tls_client(protocol == "" ? "tlsc" : "ucspitlsc")
	}
	if (protocol != "" && protocol != "connect")
		add_all("starttlsc -T " (busy ? busy : 1) (protocol_name == "" ? "" : " -n " protocol_name) " " protocol)
	retry()
	if (program == "")
		add_all("relay -w 0")
	else {
		add_all("sh -c")
		add("exec \"$@\" <&6 >&7 6<&- 7>&-")
		add("sh")
		add_program()
	}
}

function add_tls_client(name) { add_all((name == "" ? "tlsc" : name) " -K " idle "000") }

function client_protocol(protocol, lines, n) {
	protocol = tolower(value_of("protocol"))
	protocol_name = proxy_user = ""
	if (protocol == "connect") {
		say_protocol_details("protocolauthentication protocolhost protocolusername protocolpassword")
		say("protocolauthentication", tolower(value_of("protocolauthentication")) == "basic" ? DEFAULT : REFUSED, "basic is what there is")
		n = lines_of("protocolhost", lines)
		if (!n)
			error(section_where_of() ": protocol = connect without protocolHost")
		else if (take_address(lines[n], "localhost")) {
			proxy_to_host = host_found
			proxy_to_port = port_found
			say("protocolhost", TRANSLATED, "httpconnect " host_found " " port_found)
		}
		if (target_n > 1 || target_path != "")
			say("connect", REFUSED, "one proxy, with a port")
		if (is_said("protocolusername"))
			proxy_user = value_of("protocolusername") ":" value_of("protocolpassword")
		say("protocolusername", TRANSLATED, "in proxy-user")
		say("protocolpassword", is_said("protocolusername") ? TRANSLATED : NONE, "in proxy-user")
		say("protocol", TRANSLATED, "httpconnect")
	} else if (protocol ~ /^(smtp|pop3|imap|nntp|ldap|pgsql|cifs)$/) {
		say_protocol_details(protocol == "smtp" ? "protocolhost" : "")
		if (protocol == "smtp" && is_said("protocolhost")) {
			protocol_name = value_of("protocolhost")
			say("protocolhost", protocol_name ~ /^[A-Za-z0-9][A-Za-z0-9.-]*$/ ? TRANSLATED : REFUSED, protocol_name ~ /^[A-Za-z0-9][A-Za-z0-9.-]*$/ ? \
				"starttlsc -n" : "not a host name")
		}
		say("protocol", TRANSLATED, "starttlsc " protocol)
	} else {
		say_protocol_details("")
		say("protocol", REFUSED, protocol ~ /^(capwin|capwinctrl|socks|proxy)$/ ? "there is no such link" : "not a protocol of stunnel")
	}
	return protocol
}

function retry(value) {
	value = tolower(value_of("retry"))
	if (program == "")
		say("retry", NONE, "counts with connect and exec only")
	else if (value == "yes" || (is_number(value) && value > 0))
		say("retry", TRANSLATED, "the supervisor starts it again")
	else if (value == "" || value == "no" || value == "0") {
		say("retry", WARNED, "a supervisor starts it again")
		if (!is_said("retry") && service)
			warning(section_where_of() ": without retry stunnel connects once; a supervisor starts it again")
	} else
		say("retry", REFUSED, "neither yes, no nor milliseconds")
}
