# Each target is one line to cargo; `cargo xtask help` tells the same and more.
# They need a Rust toolchain and git. PostgreSQL is found, or fetched and run privately.

.DEFAULT_GOAL := help
.PHONY: help dev dev-reset doctor test prove bench fuzz fmt lint migrate-up seed audit-verify package cost doc

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

dev: ## Start the example product with seeded data on a PostgreSQL of its own
	cargo xtask dev

dev-reset: ## Drop the development database; the next `make dev` makes it anew
	cargo xtask dev --only reset

doctor: ## Examine the development database and how the product reaches it
	cargo xtask doctor --all

# SKIP="fmt clippy" leaves steps out; KERNEL_PG_MAJOR=15 asks for a version of PostgreSQL.
test: ## Check format and lints, then run all tests and the short proofs
	cargo xtask test $(addprefix --skip ,$(SKIP))

# Optimised: most of a full proof is the proof's own work.
prove: ## Run all proofs in full length, and each with each of its faults planted
	cargo run --release --package xtask -- prove --all

# NAME=tenancy runs one of them.
bench: ## Run the measurements
	cargo xtask bench $(or $(NAME),--all)

# TARGET=cursor fuzzes one of them, MINUTES=1 for so long.
fuzz: ## Look for input that breaks a parser, ten minutes per target
	cargo xtask fuzz $(or $(TARGET),--all) --minutes $(or $(MINUTES),10)

fmt: ## Format the sources
	cargo fmt --all

lint: ## Check the lints only
	cargo clippy --workspace --all-features --all-targets -- -D warnings

migrate-up: ## Bring the schema of the development database up to date
	cargo xtask dev --only migrate

seed: ## Put the example data into the development database
	cargo xtask dev --only seed

audit-verify: ## Look for changes of an audit log; reads the product's variables
	cargo xtask audit verify

package: ## Pack every crate, and build a product of the packages
	cargo xtask package

cost: ## Tell what each crate costs to build
	cargo xtask cost

doc: ## Build the documentation of all crates
	cargo doc --workspace --all-features --no-deps
