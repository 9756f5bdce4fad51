-- Signed manifests: the key pairs that sign, the lists of revoked manifests, and what
-- Kasubdit KI releases to a produsen (features.md J09, J11, N9).

ALTER TABLE master_key DROP CONSTRAINT master_key_algorithm_check;
ALTER TABLE master_key ADD CONSTRAINT master_key_algorithm_check CHECK (algorithm IN ('AES', 'DES', 'EC'));
ALTER TABLE master_key ADD COLUMN public_key bytea; -- of a key pair, SubjectPublicKeyInfo
ALTER TABLE master_key ADD CONSTRAINT master_key_public CHECK ((algorithm = 'EC') = (public_key IS NOT NULL));
ALTER TABLE master_key ADD CONSTRAINT master_key_pair CHECK (algorithm <> 'EC' OR bits = 256 AND origin = 'generated');
