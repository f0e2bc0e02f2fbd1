/* The children of a listener against a plain list: many addresses, pids in any order, all limits met. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/children.h"

enum { MAX = 300, STEPS = 60000, ADDRESSES = 40 };

static struct {
	pid_t pid;
	int address;
	bool left;
} known[MAX];
static unsigned n_known;

/* Every other one IPv6; some differ in one byte, one in its scope only. */
static struct net_address address_of(int number)
{
	char text[64];
	struct net_address address;

	if (number % 2)
		(void)snprintf(text, sizeof text, "2001:db8:%x::%x", number / 8, number % 8);
	else
		(void)snprintf(text, sizeof text, "10.0.%d.%d", number % 8, number / 8);
	assert_true(net_scan_ip(number == 1 || number == 3 ? "fe80::1" : text, &address));
	if (number == 3)
		address.scope = 7;
	address.port = (uint16_t)rand();
	return address;
}

static void check_counts(const struct net_children *children)
{
	unsigned in_handshake = 0, of[ADDRESSES] = { 0 };

	for (unsigned i = 0; i < n_known; i++) {
		in_handshake += !known[i].left;
		of[known[i].address]++;
	}
	assert_int_equal(children->running, n_known);
	assert_int_equal(children->in_handshake, in_handshake);
	for (int i = 0; i < ADDRESSES; i++) {
		struct net_address address = address_of(i);
		assert_int_equal(net_children_of(children, &address), of[i]);
	}
}

static void test_against_a_list(void **state)
{
	struct net_children children;
	pid_t next = 1;

	(void)state;
	srand(1);
	assert_true(net_children_make(&children, MAX));
	for (int step = 0; step < STEPS; step++) {
		unsigned which = n_known ? (unsigned)rand() % n_known : 0;
		/* Filled and emptied again and again. */
		bool fill = step / 2000 % 2 == 0 ? rand() % 4 != 0 : rand() % 4 == 0;

		if (fill && n_known < MAX) {
			int number = rand() % ADDRESSES;
			struct net_address address = address_of(number);

			net_children_add(&children, next, &address);
			known[n_known].pid = next++;
			known[n_known].left = false;
			known[n_known++].address = number;
		} else if (!fill && n_known) {
			assert_true(net_children_remove(&children, known[which].pid));
			assert_false(net_children_remove(&children, known[which].pid));
			known[which] = known[--n_known];
		} else if (n_known) {
			net_children_left_handshake(&children, known[which].pid);
			known[which].left = true;
		}
		net_children_left_handshake(&children, next + 5); /* nobody */
		if (step % 50 == 0)
			check_counts(&children);
	}
	while (n_known)
		assert_true(net_children_remove(&children, known[--n_known].pid));
	check_counts(&children);
	net_children_free(&children);
}

static void test_one(void **state)
{
	struct net_children children;
	struct net_address address = address_of(0);

	(void)state;
	assert_true(net_children_make(&children, 1));
	for (int i = 0; i < 10; i++) {
		net_children_add(&children, 77, &address);
		assert_int_equal(net_children_of(&children, &address), 1);
		net_children_left_handshake(&children, 77);
		net_children_left_handshake(&children, 77);
		assert_int_equal(children.in_handshake, 0);
		assert_true(net_children_remove(&children, 77));
		assert_int_equal(net_children_of(&children, &address), 0);
	}
	assert_false(net_children_remove(&children, 0));
	net_children_free(&children);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_a_list), cmocka_unit_test(test_one) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
