# SI-FILMA: everything starts here. Paths are relative, so that a clone may lie
# anywhere, also below a folder with spaces in its name.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

export SIFILMA_RUN_DIR ?= .run
export SIFILMA_TEST_RUN ?= $(shell realpath -m -- "$(SIFILMA_RUN_DIR)/test")

GOLANGCI_VERSION := v2.15.0
golangci := bin/tools/golangci-lint-$(GOLANGCI_VERSION)

# Stamping the version fails where git refuses the folder (another user's clone).
vcs := -buildvcs=$(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)
services := bin/services
test_readers := 4

.DEFAULT_GOAL := help
.PHONY: help run demo crash bench stop clean test test-long lint services build fmt install $(services)

help: ## Tampilkan daftar ini
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: install build ## Jalankan seluruh kantor di komputer ini sampai Ctrl-C; PLAY=0 tanpa peragaan
	@exec bin/sifilma up $(if $(filter 0,$(PLAY)),,-play bin/demo)

demo: install build ## Sama seperti run, lalu selesai dengan kode 0
	@exec bin/sifilma up -play bin/demo -once

crash: install build ## Ganggu seluruh kantor secara acak, lalu periksa bahwa tidak ada yang hilang
	@go build $(vcs) -o bin/ ./test/crash
	@exec bin/crash

bench: install build ## Ukur kecepatan di samping pembandingnya; pilih dengan SIFILMA_BENCH=hop,pipeline,intake,crowd,validate,plan,perso,manifest,fill,papers,start
	@go build $(vcs) -o bin/ ./test/bench
	@cd test/bench/peers && go build $(vcs) -o ../../../bin/bench-peers .
	@exec bin/bench -dir "$(SIFILMA_RUN_DIR)/bench"

stop: $(services) ## Hentikan semua yang dijalankan dari folder kerja ini
	@$(services) stop -dir "$$SIFILMA_TEST_RUN"
	@$(services) stop -dir "$(SIFILMA_RUN_DIR)/crash"
	@$(services) stop -dir "$(SIFILMA_RUN_DIR)/bench"
	@$(services) stop

clean: $(services) ## Hentikan semuanya dan hapus data folder kerja
	@$(services) clean -dir "$$SIFILMA_TEST_RUN"
	@$(services) clean
	@rm -f bin/* 2>/dev/null || true

services: install $(services) ## Nyalakan layanan untuk pengujian dan biarkan menyala
	@$(services) start -dir "$$SIFILMA_TEST_RUN" -readers $(test_readers)

build: ## Bangun semua program ke bin/
	@mkdir -p bin
	go build $(vcs) -o bin/ ./daemons/... ./test/virtualsam ./test/demo ./deploy/local/cmd/services

test: ## Uji semuanya pada layanan sungguhan, dengan pendeteksi balapan data
	@$(call with_services, go vet ./... && go test -race -p 2 -timeout 25m ./...)

test-long: ## Uji yang lama: kegagalan acak dengan benih yang dicetak
	@$(call with_services, go test -race -p 2 -timeout 4h -tags long ./...)

# Runs a command while the services of the test run are up. Services that were up
# before stay up; others are stopped at the end, also after a failure or Ctrl-C.
with_services = deploy/local/install.sh; \
	$(MAKE) $(services); \
	if ! $(services) status -dir "$$SIFILMA_TEST_RUN" >/dev/null 2>&1; then \
		trap '$(services) stop -dir "$$SIFILMA_TEST_RUN"' EXIT; \
		trap 'exit 130' INT; trap 'exit 143' TERM HUP; \
	fi; \
	$(services) start -dir "$$SIFILMA_TEST_RUN" -readers $(test_readers); \
	$(1)

lint: install $(golangci) ## Periksa gaya dan arah impor
	@$(golangci) run ./...

# Built once per version; an old one makes way.
$(golangci):
	@echo "Membangun golangci-lint $(GOLANGCI_VERSION) (sekali saja, beberapa menit)"
	@mkdir -p bin/tools && rm -f bin/tools/golangci-lint*
	@GOBIN="$$PWD/bin/tools" GOFLAGS=-mod=mod go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv bin/tools/golangci-lint $@

fmt: ## Rapikan kode Go
	@gofmt -w daemons deploy pkg schema test

install: ## Pasang paket Debian yang belum ada
	@deploy/local/install.sh

$(services):
	@mkdir -p bin
	@go build $(vcs) -o $@ ./deploy/local/cmd/services
