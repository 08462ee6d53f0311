# shellcheck shell=bash
# The numbers of an ava report (default reporter).

plain_text() { sed 's/\x1b\[[0-9;]*m//g' "$1"; }

# What follows the report's last rule: a test may have printed anything before it.
summary_of() { plain_text "$1" | awk '/^  ─$/ {text = ""} {text = text $0 "\n"} END {printf "%s", text}'; }

# sum_lines TEXT PATTERN: the sum over lines such as "  3 tests passed", whose words fit the pattern.
sum_lines() { awk -v pattern="^  [0-9]+ ($2)" '$0 ~ pattern {sum += $1} END {print sum + 0}' <<<"$1"; }

# ava says how many passed only when none failed; otherwise its ticks are counted.
passed_in() {
	local passed
	passed=$(sum_lines "$2" 'tests? passed$')
	if ((passed == 0)); then passed=$(plain_text "$1" | grep -E '^  ✔ ' | grep -cvF '[expected fail]' || true); fi
	echo "$passed"
}

# add_report LOG STATUS adds a run to PASSED, FAILED and SKIPPED. One that ended badly counts at least one failure,
# whatever it says of itself.
add_report() {
	local summary failed
	summary=$(summary_of "$1")
	failed=$(sum_lines "$summary" 'tests? failed|hooks? failed|uncaught exception|unhandled rejection|tests? remained pending')
	if (($2 != 0 && failed == 0)); then failed=1; fi
	PASSED=$((PASSED + $(passed_in "$1" "$summary")))
	FAILED=$((FAILED + failed))
	SKIPPED=$((SKIPPED + $(sum_lines "$summary" 'tests? skipped|tests? todo|known failure')))
}
