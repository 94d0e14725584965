package gate

// Config is what the gate is made from.
type Config struct {
	// BrakeOff lets every automatic stop go ahead. It is for replaying files, where
	// nobody is there to release the brake.
	BrakeOff bool `yaml:"brake_off"`
	// Meter, where given, is shown the gate's state for metrics.
	Meter *Meter `yaml:"-"`
}
