# ---- from the options of a service to the environment of tlsd-io(8) and tlsc-io(8) ----

function rank(version) {
	version = tolower(version)
	return version in rank_of ? rank_of[version] : -1
}

function versions(least, most, value, lines, n, i, name, off) {
	least = 2
	most = 3
	value = value_of("sslversion")
	if (is_said("sslversion") && rank(value) < 0)
		say("sslversion", REFUSED, "not a version")
	else if (is_said("sslversion") && rank(value) < 2 && tolower(value) != "all")
		say("sslversion", WARNED, "TLS 1.2 and 1.3 are spoken, nothing older")
	else if (tolower(value) == "all")
		say("sslversion", DEFAULT, "TLS 1.2 and 1.3")
	else if (is_said("sslversion")) {
		least = most = rank(value)
		say("sslversion", TRANSLATED, "TLS_MINVERSION, TLS_MAXVERSION")
	}
	value = value_of("sslversionmin")
	if (is_said("sslversionmin")) {
		if (rank(value) > 2)
			least = 3
		say("sslversionmin", rank(value) < 0 ? REFUSED : rank(value) > 2 ? TRANSLATED : DEFAULT, rank(value) < 0 ? "not a version" : \
			rank(value) > 2 ? "TLS_MINVERSION" : "TLS 1.2 and up")
	}
	value = tolower(value_of("sslversionmax"))
	if (is_said("sslversionmax")) {
		if (rank(value) == 2)
			most = 2
		if (rank(value) < 2 && value != "all")
			say("sslversionmax", REFUSED, rank(value) < 0 ? "not a version" : "TLS 1.2 and 1.3 are spoken, nothing older")
		else
			say("sslversionmax", most == 2 ? TRANSLATED : DEFAULT, most == 2 ? "TLS_MAXVERSION" : "the best that the engine has")
	}
	n = lines_of("options", lines)
	for (i = 1; i <= n; i++) {
		name = toupper(line_value[lines[i]])
		off = sub(/^-/, "", name)
		if (!(name in tls_option))
			verdict(lines[i], REFUSED, "not an option of SSL_CTX_set_options(3) that is known here")
		else if (name == "NO_TLSV1_2" && !off) {
			least = 3
			verdict(lines[i], TRANSLATED, "TLS_MINVERSION=TLSv1.3")
		} else if (name == "NO_TLSV1_3" && !off) {
			most = 2
			verdict(lines[i], TRANSLATED, "TLS_MAXVERSION=TLSv1.2")
		} else if (off && name ~ /^NO_(SSLV|TLSV1$|TLSV1_1$)/)
			verdict(lines[i], NONE, "TLS 1.2 and 1.3 are spoken, nothing older")
		else
			verdict(lines[i], tls_option[name] == 1 ? DEFAULT : NONE, tls_option[name] == 1 ? "always so" : \
				"a way of OpenSSL to get along with others")
	}
	if (least > most)
		error(section_where_of() ": no version of TLS is left")
	if (least == 3) {
		env["TLS_MINVERSION"] = "TLSv1.3"
		env["TLS_ENGINE"] = "openssl" # the one that has it
	}
	if (most == 2)
		env["TLS_MAXVERSION"] = "TLSv1.2"
}

# The words of a list are read by whoever reads them for each connection.
function suites(list, level, words) {
	list = value_of("ciphers")
	if (is_said("ciphersuites"))
		list = (list == "" ? "DEFAULT" : list) ":" value_of("ciphersuites")
	level = value_of("securitylevel")
	if (is_said("securitylevel")) {
		if (level !~ /^[0-5]$/)
			say("securitylevel", REFUSED, "not a level")
		else if (level > 3)
			say("securitylevel", REFUSED, "levels above 3 are out of reach of the curves that are used")
		else if (level == 3) {
			env["TLS_MINRSA"] = 3072
			if (list != "")
				list = list ":!kRSA:!3DES"
			say("securitylevel", TRANSLATED, "TLS_MINRSA=3072")
		} else
			say("securitylevel", DEFAULT, "RSA keys have 2048 bits at least" (level < 2 ? ", and are not let in with less" : ""))
	}
	if (list != "") {
		env["CIPHERS"] = list
		words = output_of("CIPHERS=" shell_word(list) " CAFILE= TLS_VERIFY=none " shell_word(FOLDER "/tlsc-io") " -C 6 7 2>&1 </dev/null 6</dev/null 7>/dev/null")
		if (words ~ /CIPHERS/)
			say(is_said("ciphers") ? "ciphers" : "ciphersuites", REFUSED, words)
	}
	say("ciphers", TRANSLATED, "CIPHERS; older suites only if they are named one by one")
	say("ciphersuites", TRANSLATED, "CIPHERS")
	say("curves", WARNED, "X25519, P-256 and P-384 are used, in this order")
}

# Looks into a file where it can; "": not there.
function file_has(path, pattern) {
	return path != "" && output_of("head -c 200000 " shell_word(path) " 2>/dev/null | grep -c -e " shell_word(pattern)) > 0
}
function is_there(path) { return path != "" && output_of("test -r " shell_word(path) " && echo 1") == 1 }

# The certificate of the service, with suffix ":name" that for a name.
function certificate_as(suffix, cert, key) {
	cert = path_of("cert")
	key = path_of("key")
	if (value_of("cert") ~ /^[a-z0-9]+:/ || value_of("key") ~ /^[a-z0-9]+:/) {
		say(value_of("cert") ~ /^[a-z0-9]+:/ ? "cert" : "key", REFUSED, "keys are in files")
		return
	}
	if (cert != "" && is_there(cert) && !file_has(cert, "-----BEGIN "))
		say("cert", REFUSED, "not PEM; if it is PKCS#12: openssl pkcs12 -nodes -in " cert " -out FILE")
	if (file_has(key == "" ? cert : key, "ENCRYPTED"))
		say(key == "" ? "cert" : "key", REFUSED, "an encrypted key: stunnel asked for its password, see -3 of " (is_client ? \
			"sslclient(1)" : "sslserver(1)"))
	if (cert != "")
		env["CERTFILE" suffix] = cert
	if (key != "" && key != cert)
		env["KEYFILE" suffix] = key
	if (key == "" && "KEYFILE" suffix in env)
		delete env["KEYFILE" suffix]
	say("cert", TRANSLATED, "CERTFILE" suffix)
	say("key", TRANSLATED, "KEYFILE" suffix)
}

function certificate() {
	certificate_as("")
	if (!is_client && !is_said("cert"))
		error(section_where_of() ": no cert: a server needs one")
	if (is_client && uid != "" && is_said("cert"))
		warning(section_where_of() ": its key is opened as user " uid ", not as root: that user has to be able to read it")
	if (is_said("chroot") && program == "") {
		if (is_client)
			say("chroot", REFUSED, "a client service has nobody left who could enter it")
		else {
			env["SSL_CHROOT"] = path_of("chroot")
			say("chroot", WARNED, "SSL_CHROOT, for the process that speaks TLS; tcpclient and relay are outside of it")
		}
	}
}

# ---- who is believed ----

# Whether there has to be a certificate: each of these options decides it anew for the lines behind it.
function is_demanded(demanded, i, name, value) {
	demanded = 0
	for (i = 1; i <= line_n; i++) {
		if (line_section[i] != 0 && line_section[i] != service)
			continue
		name = line_name[i]
		value = tolower(line_value[i])
		if (name == "verify")
			demanded = value >= 2
		else if (name ~ /^(verifychain|verifypeer)$/ && value == "yes")
			demanded = 1
		else if (name == "requirecert")
			demanded = value == "yes"
	}
	return demanded
}

# 0: nobody is judged; 1: whoever shows a certificate; 2: everybody. by_chain, by_pin: by what.
function verification(level) {
	by_chain = by_pin = 0
	level = 0
	if (is_said("verify")) {
		level = value_of("verify")
		if (level !~ /^[0-4]$/) {
			say("verify", REFUSED, "not a level")
			level = 0
		}
		by_chain = level >= 1 && level <= 3
		by_pin = level >= 3
		if (level == 0)
			say("verify", DEFAULT, "nobody is asked for a certificate that does not count")
	}
	if (yes_no("verifychain", 0))
		by_chain = 1
	if (yes_no("verifypeer", 0))
		by_pin = 1
	level = by_chain || by_pin ? (is_demanded() ? 2 : 1) : 0
	if (yes_no("requirecert", 0) && !level && !is_client)
		say("requirecert", REFUSED, "any certificate would do, also one that anybody made: say verifyChain or verifyPeer")
	if (is_client && level == 1)
		level = 2 # servers always show one
	return level
}

function say_verification(words) {
	if (value_of("verify") != 0 || !is_said("verify"))
		say("verify", TRANSLATED, words)
	say("verifychain", yes_no("verifychain", 0) ? TRANSLATED : DEFAULT, words)
	say("verifypeer", yes_no("verifypeer", 0) ? TRANSLATED : DEFAULT, words)
	if (!(is_said("requirecert") && yes_no("requirecert", 0) && !by_chain && !by_pin && !is_client))
		say("requirecert", is_client ? NONE : TRANSLATED, is_client ? "of servers" : words)
}

# Files with authorities and lists. Those in folders are within chroot.
function authorities(jail) {
	jail = is_said("chroot") ? path_of("chroot") : ""
	if (is_said("cafile"))
		env["CAFILE"] = path_of("cafile")
	if (is_said("capath")) {
		env["CADIR"] = jail path_of("capath")
		check_folder(env["CADIR"])
	}
	if (is_said("crlfile"))
		env["CRLFILE"] = path_of("crlfile")
	if (is_said("crlpath"))
		env["CRLDIR"] = jail path_of("crlpath")
}

# stunnel only finds what is named by hash, here every file counts.
function check_folder(folder, others) {
	others = output_of("cd " shell_word(folder) " 2>/dev/null || exit 0; for f in *; do test -f \"$f\" || continue; case $f in" \
		" [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].*) continue ;; esac;" \
		" grep -q -e \"-----BEGIN.*CERTIFICATE\" \"$f\" 2>/dev/null || continue;" \
		" for l in *.[0-9]*; do test \"$(readlink \"$l\")\" = \"$f\" && continue 2; done; printf \"%s\\n\" \"$f\"; done")
	if (others != "") {
		sub(/\n.*/, "", others)
		say("capath", WARNED, "CADIR, where every file counts, whatever its name: " others " would be believed, too")
	} else
		say("capath", TRANSLATED, "CADIR")
}

function say_authorities(level) {
	say("cafile", level ? TRANSLATED : NONE, level ? "CAFILE" : "nobody is judged")
	if (!level)
		say("capath", NONE, "nobody is judged")
	say("crlfile", level ? TRANSLATED : NONE, level ? "CRLFILE" : "nobody is judged")
	say("crlpath", level ? TRANSLATED : NONE, level ? "CRLDIR" : "nobody is judged")
}

# verifyPeer: one of the certificates that are there now, in pin[].
function pins(files, list, n, i, all) {
	split("", pin)
	if (is_said("cafile"))
		pins_of(path_of("cafile"))
	if (is_said("capath")) {
		files = output_of("cd " shell_word(env["CADIR"]) " 2>/dev/null && for f in *; do test -f \"$f\" && printf \"%s\\n\" \"$f\"; done")
		n = split(files, list, "\n")
		for (i = 1; i <= n; i++)
			pins_of(env["CADIR"] "/" list[i])
	}
	all = ""
	n = 0
	for (i in pin) {
		all = all (all == "" ? "" : ",") "cert:" i
		n++
	}
	if (n < 1 || n > 64)
		error(section_where_of() ": verifyPeer needs 1 to 64 certificates in CAfile or CApath, and " n " are there")
	env["TLS_PIN"] = all
	warning(section_where_of() ": verifyPeer: TLS_PIN has the certificates that are there now; after a change of theirs write it anew")
}

function pins_of(path, line, text, on, hash) {
	on = 0
	while ((getline line < path) > 0) {
		line = trimmed(line)
		if (line ~ /^-----BEGIN (X509 )?CERTIFICATE-----$/) {
			on = 1
			text = ""
		} else if (on && line ~ /^-----END /) {
			on = 0
			hash = substr(output_of("printf %s " text " | base64 -d 2>/dev/null | sha256sum"), 1, 64)
			pin[hash] = 1
		} else if (on && line ~ /^[A-Za-z0-9+\/=]+$/)
			text = text line
	}
	close(path)
}

# checkHost and checkIP: one name or address.
function names_to_check(level, lines, n, more, i) {
	n = lines_of("checkhost", lines)
	for (i = lines_of("checkip", more); i >= 1; i--)
		lines[++n] = more[i]
	if (!n)
		return 0
	for (i = 1; i <= n; i++)
		if (n > 1)
			verdict(lines[i], REFUSED, "one name, or one address, can be checked: " n " are there")
		else if (!level || !by_chain)
			verdict(lines[i], by_pin ? REFUSED : WARNED, "checks nothing without verifyChain" (by_pin ? " here" : ", there as well"))
		else if (line_value[lines[i]] !~ /^[A-Za-z0-9:._-]+$/)
			verdict(lines[i], REFUSED, "not a name or address")
		else {
			env["TLS_PEERNAME"] = line_value[lines[i]]
			verdict(lines[i], TRANSLATED, "TLS_PEERNAME, TLS_VERIFY=name")
		}
	return "TLS_PEERNAME" in env
}

function judge_clients(level, by_name) {
	level = verification()
	if (level) {
		authorities()
		if (by_chain && !("CAFILE" in env) && !("CADIR" in env))
			error(section_where_of() ": neither CAfile nor CApath, so that no client could be believed")
		if (by_pin)
			pins()
		env["CCAVERIFY"] = level == 1 ? "optional" : "require"
		env["VERIFYDEPTH"] = 8
	}
	by_name = names_to_check(level)
	env["TLS_VERIFY"] = !level || by_chain ? (by_name ? "name" : "chain") : "none"
	if (!level)
		delete env["TLS_VERIFY"]
	say_authorities(level)
	say_verification(level ? "CCAVERIFY=" env["CCAVERIFY"] (by_pin ? ", TLS_PIN" : "") : "no client is asked for a certificate")
	if (is_said("redirect"))
		redirect(level)
}

# Whoever does not show what is demanded is sent elsewhere.
function redirect(level, lines, n) {
	n = lines_of("redirect", lines)
	if (!level || by_pin || is_said("protocol") || program != "")
		say("redirect", REFUSED, "needs connect and verifyChain, without verifyPeer and protocol")
	else if (take_address(lines[n], "localhost")) {
		env["CCAVERIFY"] = "report"
		wants_report = 1
		elsewhere = (level == 1 ? "SUCCESS | NONE" : "SUCCESS")
		elsewhere_host = host_found == "" ? "localhost" : host_found
		elsewhere_port = port_found
		say("redirect", TRANSLATED, "CCAVERIFY=report, and a choice in serve")
	}
}

function judge_servers(level, by_name) {
	say("redirect", REFUSED, "a matter of servers, there as well")
	level = verification()
	if (level) {
		authorities()
		if (by_chain && !("CAFILE" in env) && !("CADIR" in env))
			error(section_where_of() ": neither CAfile nor CApath, so that no server could be believed")
		if (by_pin)
			pins()
	}
	by_name = names_to_check(level)
	env["TLS_VERIFY"] = level && by_chain ? (by_name ? "name" : "chain") : "none"
	say_authorities(level)
	say_verification(level ? "TLS_VERIFY=" env["TLS_VERIFY"] (by_pin ? ", TLS_PIN" : "") : "TLS_VERIFY=none: the server is not checked, there neither")
	server_name_to_send(by_name)
}

function is_address(host) { return host ~ /:/ || host ~ /^[0-9.]+$/ }

function server_name_to_send(by_name, name, host) {
	host = target_n && target_path == "" ? target_host[1] : ""
	if (tolower(value_of("protocol")) == "connect" && is_said("protocolhost")) {
		host = value_of("protocolhost")
		sub(/:[^:]*$/, "", host)
	}
	if (is_said("sni")) {
		name = value_of("sni")
		if (name != "" && name !~ /^[A-Za-z0-9._-]+$/)
			say("sni", REFUSED, "not a host name")
		env["TLS_SNI"] = name == "" ? "0" : name
		say("sni", TRANSLATED, "TLS_SNI")
	} else if (by_name && target_n < 2)
		env["TLS_SNI"] = is_address(host) ? "0" : host
}
