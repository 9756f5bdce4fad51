// Package web is the ground of every HTTP surface of the house: one router with
// request id, trace context, access log, recovery, security headers and body limit;
// errors as RFC 9457 problems in Indonesian; strict JSON.
//
// Handlers return errors through Handle: a *Problem is answered as it is, a fault of
// the database that will pass is 503, a lost compare-and-set is 409, and everything
// else is 500 and logged.
package web
