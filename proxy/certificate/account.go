package certificate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// accounts are our accounts at authorities, as they are stored.
type accounts struct{ storage *storage }

// stored is an account with its key: one document, so that neither is without the
// other. While a key is exchanged both are there, for nobody knows which one counts
// if we end in between.
type stored struct {
	Account acme.Account `json:"account"`
	Key     []byte       `json:"key"`            // PEM
	Next    []byte       `json:"next,omitempty"` // PEM
}

// document returns where the account at a is stored: another address, another
// account.
func (*accounts) document(a *authority) string {
	email := a.email
	if email == "" {
		email = "default"
	}
	return "accounts/" + a.key + "/" + certmagic.StorageKeys.Safe(email)
}

// load returns the account at a; fs.ErrNotExist when there is none.
func (s *accounts) load(ctx context.Context, a *authority) (acme.Account, *stored, error) {
	text, err := s.storage.Load(ctx, s.document(a))
	if err != nil {
		return acme.Account{}, nil, err
	}
	st := new(stored)
	if err := json.Unmarshal(text, st); err != nil {
		return acme.Account{}, nil, s.storage.damaged(s.document(a), err)
	}
	account := st.Account
	if account.PrivateKey, err = certmagic.PEMDecodePrivateKey(st.Key); err != nil {
		return acme.Account{}, nil, s.storage.damaged(s.document(a), err)
	}
	return account, st, nil
}

func (s *accounts) save(ctx context.Context, a *authority, st *stored) error {
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return s.storage.Store(ctx, s.document(a), text)
}

func (s *accounts) drop(ctx context.Context, a *authority) error {
	return s.storage.Delete(ctx, s.document(a))
}

// account returns the account at a, and opens one if there is none yet: once, even
// if several processes want it at the same time.
func (a *authority) account(ctx context.Context) (acme.Account, error) {
	account, st, err := a.accounts.load(ctx, a)
	if err == nil && st.settled() {
		return account, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return acme.Account{}, fmt.Errorf("account: %w", err)
	}
	lock := "account_" + a.key
	if err := a.accounts.storage.Lock(ctx, lock); err != nil {
		return acme.Account{}, err
	}
	defer a.unlock(lock)
	account, st, err = a.accounts.load(ctx, a)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a.register(ctx, nil)
	case err != nil:
		return acme.Account{}, fmt.Errorf("account: %w", err)
	case st.settled():
		return account, nil
	case st.Next == nil:
		return a.register(ctx, st)
	}
	return a.settle(ctx, account, st)
}

// settled reports whether nothing was cut off that concerns the account.
func (st *stored) settled() bool { return st.Account.Location != "" && st.Next == nil }

func (a *authority) unlock(lock string) {
	if err := a.accounts.storage.Unlock(context.Background(), lock); err != nil {
		a.logger.Warn("a claim can't be given back", zap.Error(err))
	}
}

// register opens an account with the key of begun, or a new one. The key is stored
// before anybody hears of it: an account that is opened again with its key is the
// same one, whatever ends us in between, and doesn't count against limits.
func (a *authority) register(ctx context.Context, begun *stored) (acme.Account, error) {
	if begun == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return acme.Account{}, err
		}
		pem, err := certmagic.PEMEncodePrivateKey(key)
		if err != nil {
			return acme.Account{}, err
		}
		begun = &stored{Key: pem}
		if err := a.accounts.save(ctx, a, begun); err != nil {
			return acme.Account{}, err
		}
	}
	key, err := certmagic.PEMDecodePrivateKey(begun.Key)
	if err != nil {
		return acme.Account{}, a.accounts.storage.damaged(a.accounts.document(a), err)
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if a.email != "" {
		account.Contact = []string{"mailto:" + a.email}
	}
	eab := a.eab
	if a.zerossl {
		if eab, err = bindingOf(ctx, zerosslBindings, a.email, a.client.HTTPClient); err != nil {
			return acme.Account{}, err
		}
	}
	if eab != nil {
		if err := account.SetExternalAccountBinding(ctx, a.client.Client, *eab); err != nil {
			return acme.Account{}, err
		}
	}
	if account, err = a.client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, fmt.Errorf("open an account: %w", err)
	}
	account.ExternalAccountBinding = nil // it was for once
	begun.Account = account
	if err := a.accounts.save(ctx, a, begun); err != nil {
		return acme.Account{}, err
	}
	a.logger.Info("account opened", zap.String("account", account.Location))
	return account, nil
}

// rollOver gives the account another key. RFC 8555, 7.3.5.
func (a *authority) rollOver(ctx context.Context) error {
	if _, _, err := a.accounts.load(ctx, a); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w account at the authority %s yet: the first order opens it", ErrUnknown, a.name)
	}
	if _, err := a.client.GetDirectory(ctx); err != nil {
		return err
	}
	if _, err := a.account(ctx); err != nil { // which settles an exchange that was cut off
		return err
	}
	lock := "account_" + a.key
	if err := a.accounts.storage.Lock(ctx, lock); err != nil {
		return err
	}
	defer a.unlock(lock)
	account, st, err := a.accounts.load(ctx, a)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if st.Next, err = certmagic.PEMEncodePrivateKey(key); err != nil {
		return err
	}
	if err := a.accounts.save(ctx, a, st); err != nil {
		return err
	}
	if _, err := a.client.AccountKeyRollover(ctx, account, key); err != nil {
		var problem acme.Problem
		if errors.As(err, &problem) { // it said no; else nobody knows, and account finds out
			st.Next = nil
			err = errors.Join(err, a.accounts.save(ctx, a, st))
		}
		return fmt.Errorf("authority %s: exchange the account's key: %w", a.name, err)
	}
	st.Key, st.Next = st.Next, nil
	if err := a.accounts.save(ctx, a, st); err != nil {
		return err
	}
	a.logger.Info("the account has another key", zap.String("account", account.Location))
	return nil
}

// settle finds out which of two keys an account has, after an exchange that was cut
// off.
func (a *authority) settle(ctx context.Context, account acme.Account, st *stored) (acme.Account, error) {
	next, err := certmagic.PEMDecodePrivateKey(st.Next)
	if err != nil {
		return acme.Account{}, a.accounts.storage.damaged(a.accounts.document(a), err)
	}
	asked := account
	asked.PrivateKey = next
	_, err = a.client.GetAccount(ctx, asked)
	var problem acme.Problem
	switch {
	case err == nil:
		st.Key, account.PrivateKey = st.Next, next
	case !errors.As(err, &problem):
		return acme.Account{}, err
	}
	st.Next = nil
	return account, a.accounts.save(ctx, a, st)
}

// zerosslBindings is where ZeroSSL gives an e-mail address what binds an account to
// it. Source: ZeroSSL's documentation, "ACME: Generate EAB credentials".
const zerosslBindings = "https://api.zerossl.com/acme/eab-credentials-email"

// bindingOf asks for what binds an account to an e-mail address.
func bindingOf(ctx context.Context, where, email string, client *http.Client) (*acme.EAB, error) {
	if email == "" {
		return nil, errors.New("zerossl needs acme.email")
	}
	form := strings.NewReader(url.Values{"email": {email}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, where, form)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var got struct {
		Success bool   `json:"success"`
		KeyID   string `json:"eab_kid"`
		Key     string `json:"eab_hmac_key"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		return nil, fmt.Errorf("zerossl: status %d: %w", answer.StatusCode, err)
	}
	if !got.Success || got.KeyID == "" || got.Key == "" {
		return nil, fmt.Errorf("zerossl: status %d: no account binding for %s", answer.StatusCode, email)
	}
	return &acme.EAB{KeyID: got.KeyID, MACKey: got.Key}, nil
}
