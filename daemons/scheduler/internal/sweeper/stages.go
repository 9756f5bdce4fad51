package sweeper

import "dukcapil.go.id/sifilma/pkg/rabbit"

// stage is a place where a row rests only until a daemon has answered its bell.
type stage struct {
	bell  string // message type that is rung again
	queue string // whose consumer answers it
	why   string // for the log
	// late selects (subject, version, request, since) of the rows that rest
	// here; since is when they came, by the database's clock.
	late string
}

// arrived is when a request came into its present state.
const arrived = `(SELECT h.at FROM history h WHERE h.machine = 'request' AND h.subject = r.id AND h.version = r.version)`

// stages are all of them. What only waits for a person is none, nor is what its
// daemon looks for by itself: a station looks at its slots every few seconds.
var stages = []stage{
	{
		bell: rabbit.RequestSubmitted, queue: rabbit.QueueValidator, why: "not checked",
		late: `SELECT r.id AS subject, r.version, r.id AS request, ` + arrived + ` AS since
			FROM request r WHERE r.state = 'submitted'`,
	},
	{
		bell: rabbit.RequestResubmitted, queue: rabbit.QueueValidator, why: "correction not checked",
		late: `SELECT r.id AS subject, r.version, r.id AS request, ` + arrived + ` AS since
			FROM request r WHERE r.state = 'resubmitted'`,
	},
	{
		bell: rabbit.RequestAccepted, queue: rabbit.QueueScheduler, why: "accepted and without a work order",
		late: `SELECT r.id AS subject, r.version, r.id AS request, ` + arrived + ` AS since
			FROM request r WHERE r.state = 'accepted'
			 AND NOT EXISTS (SELECT FROM work_order o WHERE o.request_id = r.id AND o.state IN ('planned','released','closing'))`,
	},
	{
		bell: rabbit.RequestHeld, queue: rabbit.QueueScheduler, why: "held with open work orders",
		late: `SELECT r.id AS subject, r.version, r.id AS request, ` + arrived + ` AS since
			FROM request r WHERE r.state = 'held'
			 AND EXISTS (SELECT FROM work_order o WHERE o.request_id = r.id AND o.state IN ('planned','released'))`,
	},
	{
		bell: rabbit.RequestCancelled, queue: rabbit.QueueScheduler, why: "cancelled with open work orders",
		late: `SELECT r.id AS subject, r.version, r.id AS request, ` + arrived + ` AS since
			FROM request r WHERE r.state IN ('cancelled','rejected')
			 AND EXISTS (SELECT FROM work_order o WHERE o.request_id = r.id AND o.state IN ('planned','released'))`,
	},
	{
		bell: rabbit.ReplacementRegistered, queue: rabbit.QueueScheduler, why: "cards on the line and no work order",
		late: `SELECT r.id AS subject, r.version, r.id AS request, last.at AS since
			FROM request r
			CROSS JOIN LATERAL (SELECT max(h.at) AS at FROM history h WHERE h.request_id = r.id) last
			WHERE r.state IN ('scheduled','in_progress')
			 AND EXISTS (SELECT FROM card c WHERE c.request_id = r.id AND c.state IN ('listed','bound','numbered'))
			 AND NOT EXISTS (SELECT FROM work_order o WHERE o.request_id = r.id AND o.state IN ('planned','released','closing'))`,
	},
	{
		bell: rabbit.CardsReduced, queue: rabbit.QueueScheduler, why: "work orders for more cards than are left",
		late: `SELECT d.id AS subject, 1 AS version, r.id AS request, d.at AS since
			FROM request r
			CROSS JOIN LATERAL (SELECT x.id, x.at FROM card_reduction x WHERE x.request_id = r.id ORDER BY x.id DESC LIMIT 1) d
			WHERE r.state IN ('scheduled','in_progress')
			 AND (SELECT sum(o.remaining) FROM work_order o WHERE o.request_id = r.id AND o.state IN ('released','closing'))
			   > (SELECT count(*) FROM card c WHERE c.request_id = r.id
			      AND c.state IN ('listed','bound','numbered','claimed','writing','written','verified')
			      AND NOT EXISTS (SELECT FROM perso_attempt a WHERE a.card_id = c.id AND a.attempt = c.attempt AND a.counted))`,
	},
	{
		// The rule is perso.Complete; here it only chooses whose bell to ring, and
		// whoever hears it judges.
		bell: rabbit.WorkorderFinished, queue: rabbit.QueueScheduler, why: "every card is settled and the request is not done",
		late: `SELECT o.id AS subject, o.version, r.id AS request, last.at AS since
			FROM request r
			CROSS JOIN LATERAL (SELECT w.id, w.version FROM work_order w WHERE w.request_id = r.id ORDER BY w.day DESC, w.id DESC LIMIT 1) o
			CROSS JOIN LATERAL (SELECT max(h.at) AS at FROM history h WHERE h.request_id = r.id) last
			WHERE r.state = 'in_progress'
			 AND NOT EXISTS (SELECT FROM card c WHERE c.request_id = r.id AND c.state NOT IN ('clear','reduced')
			                 AND (c.state NOT IN ('failed','spoiled') OR NOT EXISTS (SELECT FROM listed_card n WHERE n.replaces = c.id)))
			 AND NOT EXISTS (SELECT FROM listed_card l WHERE l.request_id = r.id AND NOT EXISTS (SELECT FROM card c WHERE c.id = l.id))
			 AND EXISTS (SELECT FROM card c WHERE c.request_id = r.id)`,
	},
	{
		// The list needs no signatory: it is there whenever the bell was heard.
		bell: rabbit.RequestDone, queue: rabbit.QueueDocumentGenerator, why: "done and without papers",
		late: `SELECT r.id AS subject, r.version, r.id AS request, ` + arrived + ` AS since
			FROM request r WHERE r.state = 'done'
			 AND NOT EXISTS (SELECT FROM document d WHERE d.subject_id = r.id AND d.kind = 'result_list')`,
	},
	{
		bell: rabbit.HandoverOpened, queue: rabbit.QueueDocumentGenerator, why: "handover without BAST",
		late: `SELECT v.id AS subject, v.version, v.request_id AS request,
			       (SELECT h.at FROM history h WHERE h.machine = 'handover' AND h.subject = v.id AND h.version = v.version) AS since
			FROM handover v WHERE v.state = 'prepared'
			 AND NOT EXISTS (SELECT FROM document d WHERE d.subject_id = v.id AND d.kind = 'bast' AND d.state NOT IN ('void','replaced'))`,
	},
	{
		bell: rabbit.CardsDestroyed, queue: rabbit.QueueDocumentGenerator, why: "berita acara without its paper",
		late: `SELECT v.id AS subject, 1 AS version, v.request_id AS request, v.at AS since
			FROM destruction v WHERE v.voided_at IS NULL
			 AND NOT EXISTS (SELECT FROM document d WHERE d.subject_id = v.id AND d.kind = 'destruction_report' AND d.state NOT IN ('void','replaced'))`,
	},
	{
		bell: rabbit.ActivationSubmitted, queue: rabbit.QueueValidator, why: "readers not checked",
		late: `SELECT l.id AS subject, l.version, NULL::uuid AS request, min(h.at) AS since
			FROM activation a JOIN activation_letter l ON l.id = a.letter_id
			JOIN history h ON h.machine = 'activation' AND h.subject = a.id AND h.version = a.version
			WHERE a.state = 'submitted' GROUP BY l.id`,
	},
	{
		bell: rabbit.ActivationAccepted, queue: rabbit.QueueDocumentGenerator, why: "readers accepted and without their reply letter",
		late: `SELECT l.id AS subject, l.version, NULL::uuid AS request, min(h.at) AS since
			FROM activation a JOIN activation_letter l ON l.id = a.letter_id
			JOIN history h ON h.machine = 'activation' AND h.subject = a.id AND h.to_state = 'accepted'
			WHERE a.reply_id IS NOT NULL
			 AND NOT EXISTS (SELECT FROM document d WHERE d.subject_id = a.reply_id AND d.kind = 'activation_reply' AND d.state NOT IN ('void','replaced'))
			GROUP BY l.id`,
	},
}
