# ---- hosts.allow and hosts.deny: the lines for a service become rules of tcprules(1) ----
# There the first pattern that fits decides, here the narrowest rule: so a pattern behind a wider one is left out, and where names and
# addresses contradict each other, which of them is the narrower, nothing is written.
# host_n, host_kind[], host_key[], host_bits[], host_verdict[]: what they say, in order.

function access() {
	names_wanted = rule_n = 0
	if (!yes_no("libwrap", 0)) {
		say("libwrap", DEFAULT, "hosts.allow and hosts.deny are not read")
		if (!is_said("libwrap") && service && accepts() && read_hosts(1))
			warning(section_where_of() ": hosts.allow and hosts.deny say something of this service, which stunnel before 5.00 obeyed;" \
				" libwrap = yes makes rules of it")
		return
	}
	if (!accepts()) {
		say("libwrap", service ? NONE : REFUSED, service ? "nobody comes in here" : "put tcpd before it, and take the line out")
		return
	}
	if (!read_hosts(0))
		say("libwrap", TRANSLATED, "nothing in hosts.allow and hosts.deny is about this service")
	else
		make_rules()
}

# Reads both files. With looking, says only whether there is something that could keep somebody out.
function read_hosts(looking) {
	host_n = hosts_failed = 0
	hosts_looking = looking
	read_hosts_file(USER_HOSTS_ALLOW, "allow")
	read_hosts_file(USER_HOSTS_DENY, "deny")
	return hosts_failed || host_n > 0
}

# A file that is not there says nothing; one that cannot be read might.
function read_hosts_file(path, word, line, text, n, state, file) {
	file = shell_word(path)
	state = output_of("test -e " file " || exit 0; test -f " file " && test -r " file " || { echo unable to read it; exit; }; test -s " file \
		" || exit 0; test -z \"$(tail -c 1 " file ")\" || echo its last line has no end, and libwrap passes over it")
	if (state != "") {
		hosts_error(path, state)
		return
	}
	n = 0
	text = ""
	while ((getline line < path) > 0) {
		n++
		text = text line
		if (text ~ /\\$/) {
			text = substr(text, 1, length(text) - 1)
			continue
		}
		hosts_line(text, word, path ":" n)
		text = ""
	}
	if (text != "")
		hosts_error(path ":" n, "the last line is to be continued")
	close(path)
}

function hosts_error(where, words) {
	hosts_failed = 1
	if (!hosts_looking)
		error(where ": " words)
}

# daemon list : client list : option...; colons within [] belong to addresses. Case does not count.
function hosts_line(text, word, where, part, n, i, list, decided) {
	if (text ~ /^#/ || trimmed(text) == "")
		return
	if (length(text) > 2000 || text ~ /[^ -~\t\r]/) {
		hosts_error(where, "too long for libwrap, or not text")
		return
	}
	n = split_hosts(tolower(text), part)
	if (n < 2) {
		hosts_error(where, "not daemons : clients")
		return
	}
	if (!hosts_daemons(part[1], where))
		return
	decided = 0
	for (i = 3; i <= n; i++) {
		part[i] = trimmed(part[i])
		if (!decided && (part[i] == "allow" || part[i] == "deny")) {
			word = part[i]
			decided = 1
		} else if (decided || part[i] !~ /^(severity|banners|nice|keepalive|linger|rfc931)([ \t=]|$)/)
			hosts_error(where, "option " shown(part[i]) ": has no counterpart in rules")
	}
	n = hosts_words(part[2], list)
	for (i = 1; i <= n; i++)
		hosts_pattern(list[i], word, where)
}

function hosts_words(text, list) {
	gsub(/[, \t\r]+/, " ", text)
	return split(text, list, " ")
}

# Whether one of the daemons is this service. What may be, by a pattern, is an error.
function hosts_daemons(text, where, list, n, i, name, found) {
	name = tolower(section_name[service])
	n = hosts_words(text, list)
	found = 0
	for (i = 1; i <= n; i++) {
		if (list[i] == "except") {
			if (found)
				hosts_error(where, "EXCEPT among the daemons: take it apart")
			return 0
		}
		if (list[i] == "all" || list[i] == "known" || list[i] == name)
			found = 1
		else if (list[i] ~ /[*?]/ || list[i] ~ /^\./ || list[i] ~ /\.$/)
			hosts_error(where, shown(list[i]) ": a pattern among the daemons: take it apart")
		else if (list[i] ~ /@/ && (list[i] ~ /^(all|known)@/ || index(list[i], name "@") == 1))
			hosts_error(where, "daemon@host: a listener has one address: take it apart")
	}
	return found
}

function split_hosts(text, part, n, i, c, inside) {
	split("", part)
	n = 1
	inside = 0
	for (i = 1; i <= length(text); i++) {
		c = substr(text, i, 1)
		if (c == "[")
			inside = 1
		if (c == "]")
			inside = 0
		if (c == ":" && !inside)
			n++
		else
			part[n] = part[n] c
	}
	return n
}

function hosts_pattern(text, word, where, two, bits) {
	if (text == "all")
		hosts_add("all", "", 0, word)
	else if (text ~ /^[0-9]+\.([0-9]+\.)?([0-9]+\.)?$/ && is_octets(substr(text, 1, length(text) - 1))) {
		bits = gsub(/\./, ".", text) * 8
		hosts_add("4", binary4(text), bits, word)
	} else if (is_ipv4(text))
		hosts_add("4", binary4(text), 32, word)
	else if (text ~ /^[0-9.]+\/[0-9.]+$/) {
		split(text, two, "/")
		bits = is_ipv4(two[2]) ? mask_bits(two[2]) : two[2] ~ /^[1-9][0-9]?$/ ? two[2] + 0 : -1
		if (!is_ipv4(two[1]) || bits < 0 || bits > 32 || substr(binary4(two[1]), bits + 1) ~ /1/)
			hosts_error(where, text ": not a network")
		else
			hosts_add("4", binary4(two[1]), bits, word)
	} else if (text ~ /^\[[0-9a-f:]+\](\/[0-9]+)?$/) {
		bits = 128
		if (match(text, /\/[0-9]+$/)) {
			bits = substr(text, RSTART + 1) + 0
			text = substr(text, 1, RSTART - 1)
		}
		text = substr(text, 2, length(text) - 2)
		if (bits > 128 || binary6(text) == "" || is_mapped(binary6(text)))
			hosts_error(where, text ": not a network")
		else
			hosts_add("6", binary6(text), bits, word)
	} else if (text ~ /^\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/ && text !~ /^[0-9.]+$/ && text !~ /^(local|known|unknown|paranoid|except)$/)
		hosts_add("name", text, length(text), word)
	else
		hosts_error(where, shown(text) ": no rule can say this")
}

# Numbers as addresses are written, which is how libwrap compares them.
function is_octets(text, part, n, i) {
	n = split(text, part, ".")
	for (i = 1; i <= n; i++)
		if (part[i] !~ /^(0|[1-9][0-9]?[0-9]?)$/ || part[i] > 255)
			return 0
	return 1
}

function is_ipv4(text) { return text ~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/ && is_octets(text) }

# ::ffff:0:0/96, IPv4 in IPv6: libwrap never sees that.
function is_mapped(bits) { return index(bits, "1") == 81 && substr(bits, 81, 16) == "1111111111111111" }

function bits_of(number, width, text) {
	text = ""
	for (; width > 0; width--) {
		text = (number % 2) text
		number = int(number / 2)
	}
	return text
}

function binary4(text, part, n, i, all) {
	n = split(text, part, ".")
	all = ""
	for (i = 1; i <= 4; i++)
		all = all bits_of(i <= n && part[i] != "" ? part[i] + 0 : 0, 8)
	return all
}

# libwrap takes 255.255.255.255 for an error.
function mask_bits(text, all) {
	all = binary4(text)
	return all ~ /^1*0+$/ ? index(all, "0") - 1 : -1
}

function binary6(text, half, left, right, n, m, i, all) {
	if (split(text, half, "::") > 2)
		return ""
	n = split(half[1], left, ":")
	m = text ~ /::/ ? split(half[2], right, ":") : 0
	if (text ~ /::/ ? n + m > 7 : n != 8)
		return ""
	for (i = 1; i <= n; i++)
		if (left[i] == "" || length(left[i]) > 4)
			return ""
	for (i = 1; i <= m; i++)
		if (right[i] == "" || length(right[i]) > 4)
			return ""
	all = ""
	for (i = 1; i <= 8; i++)
		all = all bits_of(hexadecimal(i <= n ? left[i] : i > 8 - m ? right[i - 8 + m] : "0"), 16)
	return all
}

function hexadecimal(text, i, number) {
	number = 0
	for (i = 1; i <= length(text); i++)
		number = number * 16 + index("0123456789abcdef", tolower(substr(text, i, 1))) - 1
	return number
}

function hosts_add(kind, key, bits, word) {
	if (kind == "4" || kind == "6")
		key = substr(key, 1, bits)
	host_n++
	host_kind[host_n] = kind
	host_key[host_n] = key
	host_verdict[host_n] = word
}

# Whether pattern i has all that j has.
function covers(i, j) {
	if (host_kind[i] == "all")
		return 1
	if (host_kind[i] != host_kind[j])
		return 0
	if (host_kind[i] != "name")
		return substr(host_key[j], 1, length(host_key[i])) == host_key[i]
	return host_key[i] == host_key[j] || (host_key[i] ~ /^\./ && ends_with(host_key[j], host_key[i]))
}

function make_rules(i, j, counts) {
	for (i = 1; i <= host_n; i++) {
		for (j = 1; j < i && !covers(j, i); j++)
			;
		counts[i] = j == i
		if (counts[i] && host_kind[i] == "name")
			names_wanted = 1
	}
	for (i = 1; i <= host_n; i++)
		for (j = 1; j < i; j++)
			if (counts[i] && counts[j] && host_verdict[i] != host_verdict[j] && host_kind[i] != "all" && host_kind[j] != "all" &&
				(host_kind[i] == "name") != (host_kind[j] == "name")) {
				error(section_where_of() ": libwrap: hosts.allow and hosts.deny have names and addresses that contradict each other")
				return
			}
	for (i = 1; i <= host_n; i++)
		if (counts[i])
			rules[++rule_n] = rule_address(i) ":" host_verdict[i]
	say("libwrap", TRANSLATED, rule_n " rules of hosts.allow and hosts.deny as they are now")
}

function rule_address(i, kind, n, text, key) {
	kind = host_kind[i]
	if (kind == "all")
		return ""
	if (kind == "name")
		return "=" host_key[i]
	key = host_key[i]
	n = length(key)
	if (kind == "4") {
		key = substr(key "00000000000000000000000000000000", 1, 32)
		text = number_in(key, 1, 8) "." number_in(key, 9, 8) "." number_in(key, 17, 8) "." number_in(key, 25, 8)
		return n == 32 ? text : text "/" n
	}
	while (length(key) < 128)
		key = key "0"
	text = ""
	for (kind = 0; kind < 8; kind++)
		text = text (kind ? ":" : "") sprintf("%x", number_in(key, 16 * kind + 1, 16))
	return n == 128 ? text : text "/" n
}

function number_in(key, from, width, i, number) {
	number = 0
	for (i = from; i < from + width; i++)
		number = number * 2 + substr(key, i, 1)
	return number
}
