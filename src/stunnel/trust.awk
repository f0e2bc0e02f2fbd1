# ---- which certificates count: CAfile and CApath as stunnel takes them ----
# There a path ends at a self-signed certificate; anything else in these files only helps to find the way, or is what verifyPeer compares
# with. Here whatever is in CAFILE and CADIR ends a path. So a file that has more than self-signed certificates is not given as it is.
# cert_n, cert_text[], cert_self[], cert_is_ca[]: those of both: the text in base64, whether self-signed, whether an authority.

function authorities(i, selfs) {
	cert_n = others_n = 0
	if (is_said("cafile"))
		certificates_of(path_of("cafile"))
	if (is_said("capath"))
		certificates_in(folder_of("capath"))
	lists()
	selfs = 0
	for (i = 1; i <= cert_n; i++)
		selfs += is_authority(i)
	if (by_chain ? !selfs : !cert_n)
		error(section_where_of() ": CAfile and CApath have no certificate that " (by_chain ? "is self-signed" : "could be compared with") \
			", so that nobody could be believed")
	if (by_pin)
		pins()
	if (by_chain && (selfs < cert_n || others_n))
		authorities_apart()
	else {
		if (is_said("cafile"))
			env["CAFILE"] = path_of("cafile")
		if (is_said("capath"))
			env["CADIR"] = folder_of("capath")
	}
}

# Folders are looked into after chroot, files are read before.
function folder_of(name) { return (is_said("chroot") ? path_of("chroot") : "") path_of(name) }

function lists() {
	if (is_said("crlfile"))
		env["CRLFILE"] = path_of("crlfile")
	if (is_said("crlpath"))
		env["CRLDIR"] = folder_of("crlpath")
	with_lists = is_said("crlfile") || is_said("crlpath")
	if (with_lists && !by_chain) { # a certificate that is trusted by itself is on no list here
		say("crlfile", REFUSED, "verifyPeer without verifyChain looks at no list here")
		say("crlpath", REFUSED, "verifyPeer without verifyChain looks at no list here")
	}
}

# With lists a self-signed certificate of a peer would have to be on its own one.
function is_authority(i) { return cert_self[i] && (cert_is_ca[i] || !with_lists) }

function certificates_of(path, line, text, on) {
	if (!is_there(path)) {
		error(section_where_of() ": " path ": unable to read it, and nobody can say whom it has believed")
		return
	}
	on = 0
	while ((getline line < path) > 0) {
		line = trimmed(line)
		if (line ~ /^-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----$/) {
			on = 1
			text = ""
		} else if (on && line ~ /^-----END /) {
			on = 0
			certificate_found(text)
		} else if (on && line ~ "^[A-Za-z0-9+/=]+$")
			text = text line
	}
	close(path)
}

function certificate_found(text, hex) {
	hex = output_of("printf %s " text " | base64 -d 2>/dev/null | od -An -v -tx1")
	gsub(/[ \n]/, "", hex)
	cert_n++
	cert_text[cert_n] = text
	cert_self[cert_n] = is_self_issued(hex)
	cert_is_ca[cert_n] = hex ~ /0603551d13(0101ff)?04..30..0101ff/
}

# The issuer and the subject of a certificate in DER, in hexadecimal: Certificate, TBSCertificate, then their order in RFC 5280, 4.1.
function is_self_issued(hex, at, issuer) {
	at = der_inside(hex, der_inside(hex, 1))
	if (substr(hex, at, 2) == "a0") # version
		at = der_behind(hex, at)
	at = der_behind(hex, der_behind(hex, at)) # serialNumber, signature
	issuer = der_element(hex, at)
	at = der_behind(hex, der_behind(hex, at)) # issuer, validity
	return issuer != "" && issuer == der_element(hex, at)
}

# Sets der_length, in digits, of the element at a place; returns where its contents begin.
function der_inside(hex, at, length_digits) {
	der_length = hexadecimal(substr(hex, at + 2, 2))
	at += 4
	if (der_length < 128) {
		der_length *= 2
		return at
	}
	length_digits = 2 * (der_length - 128)
	der_length = 2 * hexadecimal(substr(hex, at, length_digits))
	return at + length_digits
}

function der_behind(hex, at) {
	at = der_inside(hex, at)
	return at + der_length
}

function der_element(hex, at) { return substr(hex, at, der_behind(hex, at) - at) }

# Only what is named by hash is found there, files of any name are here: the others are counted.
function certificates_in(folder, names, list, n, i) {
	names = output_of("cd " shell_word(folder) " 2>/dev/null || exit 1; for f in *; do test -f \"$f\" || continue; case $f in" \
		" [0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].[0-9]*) printf \"+%s\\n\" \"$f\"; continue ;; esac;" \
		" grep -q -e \"-----BEGIN.*CERTIFICATE\" \"$f\" 2>/dev/null || continue;" \
		" for l in *.[0-9]*; do test \"$(readlink \"$l\")\" = \"$f\" && continue 2; done; printf \"%s\\n\" \"-$f\"; done")
	if (command_failed)
		error(section_where_of() ": " folder ": unable to read it, and nobody can say whom it has believed")
	n = split(names, list, "\n")
	for (i = 1; i <= n; i++)
		if (list[i] ~ /^\+/)
			certificates_of(folder "/" substr(list[i], 2))
		else
			others_n++
}

# verifyPeer: one of the certificates that are there now.
function pins(i, all) {
	if (cert_n > 64)
		error(section_where_of() ": verifyPeer can have 64 certificates in CAfile and CApath, and " cert_n " are there")
	all = ""
	for (i = 1; i <= cert_n; i++)
		all = all (i > 1 ? "," : "") "cert:" substr(output_of("printf %s " cert_text[i] " | base64 -d 2>/dev/null | sha256sum"), 1, 64)
	env["TLS_PIN"] = all
	warning(section_where_of() ": verifyPeer: TLS_PIN has the certificates that are there now; after a change of theirs write it anew")
}

# The authorities alone, in a file of their own, authorities.pem; see write_service.
function authorities_apart(i, at, text) {
	text = ""
	for (i = 1; i <= cert_n; i++)
		if (is_authority(i)) {
			text = text "-----BEGIN CERTIFICATE-----\n"
			for (at = 1; at <= length(cert_text[i]); at += 64)
				text = text substr(cert_text[i], at, 64) "\n"
			text = text "-----END CERTIFICATE-----\n"
		}
	authorities_text = text
	env["CAFILE"] = DIR "/" which_name() "/authorities.pem"
	warning(section_where_of() ": only self-signed certificates of CAfile and CApath end a path there: CAFILE has these alone, as they are now," \
		" and peers have to show what stands between")
}

function say_authorities(level, words) {
	words = authorities_text == "" ? "" : "authorities.pem, the self-signed ones"
	say("cafile", level ? TRANSLATED : NONE, !level ? "nobody is judged" : words == "" ? "CAFILE" : words)
	say("capath", level ? TRANSLATED : NONE, !level ? "nobody is judged" : words == "" ? "CADIR" : words)
	say("crlfile", level ? TRANSLATED : NONE, level ? "CRLFILE" : "nobody is judged")
	say("crlpath", level ? TRANSLATED : NONE, level ? "CRLDIR" : "nobody is judged")
}
