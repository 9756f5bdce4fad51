//go:build !long

package main

// stormDays are the hari kerja that the storm lasts.
const stormDays = 10
