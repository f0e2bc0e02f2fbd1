# ---- from the options of a service to the environment of tlsd-io(8) and tlsc-io(8) ----

function rank(version) {
	version = tolower(version)
	return version in rank_of ? rank_of[version] : -1
}

# Each line changes what those before it said.
function versions(least, most, without_2, without_3, i, name, value) {
	least = 2
	most = 3
	without_2 = without_3 = 0
	for (i = 1; i <= line_n; i++) {
		if (line_section[i] != 0 && line_section[i] != service)
			continue
		name = line_name[i]
		value = tolower(line_value[i])
		if (name == "sslversion" || name == "sslversionmin")
			least = rank(value) > 2 ? 3 : 2
		if (name == "sslversion" || name == "sslversionmax")
			most = rank(value) == 2 ? 2 : 3
		if (name == "options" && value ~ /^-?no_tlsv1_2$/)
			without_2 = value !~ /^-/
		if (name == "options" && value ~ /^-?no_tlsv1_3$/)
			without_3 = value !~ /^-/
	}
	say_versions()
	if (without_2)
		least = 3
	if (without_3)
		most = 2
	if (least > most)
		error(section_where_of() ": no version of TLS is left")
	if (least == 3) {
		env["TLS_MINVERSION"] = "TLSv1.3"
		env["TLS_ENGINE"] = "openssl" # the one that has it
	}
	if (most == 2)
		env["TLS_MAXVERSION"] = "TLSv1.2"
}

function say_versions(value, lines, n, i, name, off) {
	value = tolower(value_of("sslversion"))
	if (rank(value) < 0)
		say("sslversion", REFUSED, "not a version")
	else if (value == "all")
		say("sslversion", DEFAULT, "TLS 1.2 and 1.3")
	else
		say("sslversion", rank(value) < 2 ? WARNED : TRANSLATED, rank(value) < 2 ? "TLS 1.2 and 1.3 are spoken, nothing older" : \
			"TLS_MINVERSION, TLS_MAXVERSION")
	value = value_of("sslversionmin")
	if (rank(value) < 0)
		say("sslversionmin", REFUSED, "not a version")
	else
		say("sslversionmin", rank(value) > 2 ? TRANSLATED : DEFAULT, rank(value) > 2 ? "TLS_MINVERSION" : "TLS 1.2 and up")
	value = tolower(value_of("sslversionmax"))
	if (rank(value) < 2 && value != "all")
		say("sslversionmax", REFUSED, rank(value) < 0 ? "not a version" : "TLS 1.2 and 1.3 are spoken, nothing older")
	else
		say("sslversionmax", rank(value) == 2 ? TRANSLATED : DEFAULT, rank(value) == 2 ? "TLS_MAXVERSION" : "the best that the engine has")
	n = lines_of("options", lines)
	for (i = 1; i <= n; i++) {
		name = toupper(line_value[lines[i]])
		off = sub(/^-/, "", name)
		if (!(name in tls_option))
			verdict(lines[i], REFUSED, "not an option of SSL_CTX_set_options(3) that is known here")
		else if (name ~ /^NO_TLSV1_[23]$/)
			verdict(lines[i], TRANSLATED, name == "NO_TLSV1_2" ? "TLS_MINVERSION" : "TLS_MAXVERSION")
		else if (off && name ~ /^NO_(SSLV|TLSV1$|TLSV1_1$)/)
			verdict(lines[i], NONE, "TLS 1.2 and 1.3 are spoken, nothing older")
		else
			verdict(lines[i], tls_option[name] == 1 ? DEFAULT : NONE, tls_option[name] == 1 ? "always so" : \
				"a way of OpenSSL to get along with others")
	}
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
function is_there(path) { return path != "" && output_of("test -f " shell_word(path) " && test -r " shell_word(path) " && echo 1") == 1 }

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

# 0: nobody is judged; 1: whoever shows a certificate; 2: everybody. by_chain, by_pin: by what. Each of these options changes what those
# before it said.
function verification(i, name, value, demanded) {
	by_chain = by_pin = demanded = 0
	for (i = 1; i <= line_n; i++) {
		if (line_section[i] != 0 && line_section[i] != service)
			continue
		name = line_name[i]
		value = tolower(line_value[i])
		if (name == "verify") {
			by_chain = value ~ /^[123]$/
			by_pin = value ~ /^[34]$/
			demanded = value ~ /^[234]$/
		} else if (name == "verifychain")
			by_chain = value == "yes"
		else if (name == "verifypeer")
			by_pin = value == "yes"
		if (name == "requirecert" || (value == "yes" && name ~ /^verify(chain|peer)$/))
			demanded = value == "yes"
	}
	if (is_said("verify") && value_of("verify") !~ /^[0-4]$/)
		say("verify", REFUSED, "not a level")
	yes_no("verifychain")
	yes_no("verifypeer")
	yes_no("requirecert")
	if (by_chain || by_pin)
		return demanded || is_client ? 2 : 1 # servers always show one
	if (demanded && !is_client)
		say(is_said("requirecert") ? "requirecert" : "verify", REFUSED, \
			"any certificate would do, also one that anybody made: say verifyChain or verifyPeer")
	return 0
}

function say_verification(words) {
	say("verify", value_of("verify") == 0 ? DEFAULT : TRANSLATED, words)
	say("verifychain", yes_no("verifychain", 0) ? TRANSLATED : DEFAULT, words)
	say("verifypeer", yes_no("verifypeer", 0) ? TRANSLATED : DEFAULT, words)
	say("requirecert", is_client ? NONE : TRANSLATED, is_client ? "of servers" : words)
}

# checkHost and checkIP: one name or address.
function names_to_check(level, lines, n, more, i, value) {
	n = lines_of("checkhost", lines)
	for (i = lines_of("checkip", more); i >= 1; i--)
		lines[++n] = more[i]
	for (i = 1; i <= n; i++) {
		value = line_value[lines[i]]
		if (n > 1)
			verdict(lines[i], REFUSED, "one name, or one address, can be checked: " n " are there")
		else if (!level)
			verdict(lines[i], WARNED, "checks nothing without verifyChain or verifyPeer, there as well")
		else if (line_name[lines[i]] == "checkip" ? value !~ /^([0-9]+(\.[0-9]+)+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)$/ : \
			is_address(value) || value !~ /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/)
			verdict(lines[i], REFUSED, line_name[lines[i]] == "checkip" ? "not an address" : "not a host name")
		else {
			env["TLS_PEERNAME"] = value
			if (line_name[lines[i]] == "checkhost") # as OpenSSL has it
				env["TLS_CNFALLBACK"] = 1
			verdict(lines[i], TRANSLATED, "TLS_PEERNAME, TLS_VERIFY=name")
		}
	}
	return "TLS_PEERNAME" in env
}

function judge_clients(level) {
	level = verification()
	if (level) {
		authorities()
		env["CCAVERIFY"] = level == 1 ? "optional" : "require"
		env["VERIFYDEPTH"] = 8
		env["TLS_VERIFY"] = names_to_check(level) ? "name" : "chain"
	} else
		names_to_check(level)
	say_authorities(level)
	say_verification(level ? "CCAVERIFY=" env["CCAVERIFY"] (by_pin ? ", TLS_PIN" : "") : "nobody is asked for a certificate that does not count")
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
		elsewhere_host = host_found == "" ? "localhost" : host_found
		elsewhere_port = port_found
		say("redirect", TRANSLATED, "CCAVERIFY=report, and a choice in serve")
	}
}

function judge_servers(level, by_name) {
	say("redirect", REFUSED, "a matter of servers, there as well")
	level = verification()
	if (level)
		authorities()
	by_name = names_to_check(level)
	env["TLS_VERIFY"] = !level ? "none" : by_name ? "name" : "chain"
	say_authorities(level)
	say_verification("TLS_VERIFY=" env["TLS_VERIFY"] (by_pin ? ", TLS_PIN" : "") (level ? "" : ": the server is not checked, there neither"))
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
