package config

import "time"

// SES is Amazon SES, where each account's mail goes out by a tenant. Without a region there
// is none, and nothing of AWS is looked at. Credentials are those of the SDK's default chain:
// the environment, ~/.aws, the machine's role. They need ses:GetTenant,
// ses:GetReputationEntity and ses:UpdateReputationEntityCustomerManagedStatus.
type SES struct {
	Region   string        `yaml:"region"`                            // as eu-central-1; empty: no SES
	Tenant   string        `yaml:"tenant"`                            // name or ARN of an account's tenant, with {account} in it
	MapFile  string        `yaml:"map_file" file:"yes"`               // lines of account,tenant; accounts that are not named have none
	Released string        `yaml:"released" one:"ENABLED,REINSTATED"` // REINSTATED sends although reputation findings are open
	Endpoint string        `yaml:"endpoint"`                          // in place of the region's own
	Timeout  time.Duration `yaml:"timeout"`                           // of one attempt
}
