/** What pg's SCRAM is made of; not in @types/pg, because it is not for everybody. */
declare module 'pg/lib/crypto/utils.js' {
  const crypto: {
    deriveKey(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array>;
    hmacSha256(key: Uint8Array, message: string): Promise<Uint8Array>;
    sha256(data: Uint8Array): Promise<Uint8Array>;
  };
  export default crypto;
}
