# "make" lists the targets. "make test" is what a change must pass.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Tools are pinned here and run from the module cache: nothing to install.
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0

FUZZTIME ?= 20s

# SQLite is C, translated to Go: with memory and locks of its own, of which the
# race detector knows nothing. To watch it there finds nothing, and took six of
# seven seconds of the tests that use it. Whatever calls it is watched as ever.
RACE := -race '-gcflags=modernc.org/...=-race=false -d=checkptr=0'

.PHONY: help
help: ## List the targets
	@echo "Bellhop. Targets:"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 16

.PHONY: test
test: setup lint build ## Everything a change must pass: setup, lint, build, all tests with the race detector
	@go test $(RACE) -timeout 40m ./...

.PHONY: quick
quick: ## The short tests without the race detector, while you work
	@go vet ./...
	@go test -short ./...

.PHONY: lint
lint: ## gofmt, vet, staticcheck, and go.mod as it should be
	@unformatted="$$(gofmt -l .)"; [ -z "$$unformatted" ] || { echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; }
	@go vet ./...
	@go vet -tags crashpoints ./...
	@$(STATICCHECK) ./...
	@go mod tidy -diff
	@go mod verify

.PHONY: build
build: ## The program as it is shipped, at bin/bellhop
	@CGO_ENABLED=0 go build -trimpath -o bin/bellhop ./cmd/bellhop

.PHONY: setup
setup: ## What the tests need on a fresh machine (installs it as root on Debian, else says what is missing)
	@dev/setup

.PHONY: fuzz
fuzz: ## Each fuzz target for FUZZTIME (20s)
	@grep -rEo '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | while IFS=: read -r file func; do \
		echo "$$(dirname "$$file") $${func#func }"; \
		go test -run='^$$' -fuzz="^$${func#func }\$$" -fuzztime=$(FUZZTIME) "$$(dirname "$$file")"; \
	done

.PHONY: bench
bench: build ## Measure sign-ups, mails and the bus against what this machine can do at best (a quarter of an hour)
	@bin/bellhop bench signup
	@bin/bellhop bench mail
	@bin/bellhop bench bus --part sdk,backlog

.PHONY: vuln
vuln: ## Known vulnerabilities in what is used (asks vuln.go.dev, so it is not part of test)
	@$(GOVULNCHECK) ./...
