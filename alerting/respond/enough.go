package respond

import (
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// enough is the first half of rule 3: whoever is throttled or stopped is so on
// signals of two families or on a certain one, whatever the policy's condition.
func (j *judgement) enough() bool {
	return j.policy.Verdict.Rank() < schemas.VerdictThrottle.Rank() || policy.Enough(j.view.env)
}
