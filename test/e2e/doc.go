// Package e2e runs the whole office as a user does, with `sifilma up` and the
// demo that plays the people, and looks at what it leaves behind.
package e2e
