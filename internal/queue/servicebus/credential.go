package servicebus

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// NewCredential returns what a process proves with who it is, without a secret
// in its settings. With developer it is whoever has logged in on this machine
// with az or azd. Otherwise it is the process's workload identity, if the
// platform gave it one (AZURE_FEDERATED_TOKEN_FILE is set), or else the machine's
// managed identity: the one named by AZURE_CLIENT_ID, or the only one. getenv
// reads the platform's variables, like os.Getenv. Nothing is asked of anybody
// yet.
func NewCredential(developer bool, getenv func(string) string) (azcore.TokenCredential, error) {
	var credential azcore.TokenCredential
	var err error
	switch {
	case developer:
		credential, err = developerCredential()
	case getenv("AZURE_FEDERATED_TOKEN_FILE") != "":
		credential, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientID: getenv("AZURE_CLIENT_ID"), TenantID: getenv("AZURE_TENANT_ID"), TokenFilePath: getenv("AZURE_FEDERATED_TOKEN_FILE"),
		})
	default:
		options := &azidentity.ManagedIdentityCredentialOptions{}
		if id := getenv("AZURE_CLIENT_ID"); id != "" {
			options.ID = azidentity.ClientID(id)
		}
		credential, err = azidentity.NewManagedIdentityCredential(options)
	}
	if err != nil {
		return nil, fmt.Errorf("prepare the identity for Service Bus: %w", err)
	}
	return credential, nil
}

func developerCredential() (azcore.TokenCredential, error) {
	cli, err := azidentity.NewAzureCLICredential(nil)
	if err != nil {
		return nil, err
	}
	azd, err := azidentity.NewAzureDeveloperCLICredential(nil)
	if err != nil {
		return nil, err
	}
	return azidentity.NewChainedTokenCredential([]azcore.TokenCredential{cli, azd}, nil)
}

// bounded asks for tokens with a deadline. The SDK sets none, and waits for one
// token with everything else.
type bounded struct {
	azcore.TokenCredential
	limit time.Duration
}

// GetToken implements [azcore.TokenCredential].
func (b bounded) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	ctx, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	return b.TokenCredential.GetToken(ctx, options)
}
