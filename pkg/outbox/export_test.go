package outbox

// HandRows is how many rows a relay has in hand at most.
const HandRows = handRows
