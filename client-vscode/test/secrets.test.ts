import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutSecrets } from "../src/secrets";

test("P11: no key leaves the editor with a report, however it is written", () => {
  for (const text of [
    "the key sk-ant-api03-SECRET_value-1 was refused",
    'Authorization: Bearer SECRETvalue1',
    "authorization: basic SECRETvalue1",
    '{"x-api-key": "SECRETvalue1"}',
    "ANTHROPIC_AUTH_TOKEN=SECRETvalue1",
    "https_proxy=http://me:SECRETvalue1@proxy:3128",
  ]) {
    assert.doesNotMatch(withoutSecrets(text), /SECRET/, text);
  }
});

test("what tells the cause of a failure is kept", () => {
  const text = '529 overloaded_error: Overloaded (requestId req_011CSHoEeqs5C35K2UUqR7Fy)\nkey: environment\nhttps://127.0.0.1:8080/v1';
  assert.equal(withoutSecrets(text), text);
});
