package cardlist

// Queries whose plan is a promise, with the serials as $1 and the readers as $2.
const (
	InUseQuery = inUse // and the request as $5
	AlikeQuery = alike
)

// Compared are the first four parameters of both.
var Compared = compared
