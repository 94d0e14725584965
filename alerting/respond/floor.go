package respond

// aboveFloor is the second half of rule 3: below the policy's floor nothing is
// decided.
func (j *judgement) aboveFloor() bool { return j.policy.AboveFloor(j.view.env) }
