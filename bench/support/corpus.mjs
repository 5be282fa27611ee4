/*
 * Query strings as senders write them, in groups of equal weight: a single group would favour the parser that is good at its kind.
 */
import { readFileSync } from 'node:fs'

const sample = {
  conversion: 'success',
  referrer_name: 'Robert Downy',
  referrer_email: 'example@gmail.com',
  referee_name: 'Cristian Bale',
  referee_email: 'example@gmail.com',
  orderID: 'ASDXXXXX',
  purchaseValue: '1000',
  referrer_converts: '2',
  referrer_customValue: 'xxxxxxx',
  goal_complete: '1',
}

const query = (changes) => String(new URLSearchParams({ ...sample, ...changes }))

/** Parameters with every byte of every value percent-encoded. */
const escaped = (changes) =>
  Object.entries({ ...sample, ...changes })
    .map(([name, text]) => `${name}=${Array.from(Buffer.from(text), (byte) => `%${byte.toString(16)}`).join('')}`)
    .join('&')

/** The query strings of recorded requests of real clients. */
function captured() {
  const file = new URL('../../__tests__/fixtures/requests.jsonl', import.meta.url)
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((request) => request.verdict === 'accept' && request.in === 'query')
    .map(({ raw }) => /\?(\S*) HTTP/.exec(Buffer.from(raw, 'base64').toString('latin1'))[1])
}

export const corpus = {
  'documented sample': [query({})],
  'non-ASCII names': [
    query({ referrer_name: 'Zoë Müller-Lüdenscheidt', referee_name: 'José Núñez' }),
    query({ referrer_name: 'राहुल शर्मा', referee_name: 'अनिता देवी' }),
    query({
      referrer_name: '山田太郎',
      referee_name: 'Nguyễn Thị Minh Khai',
      conversion: 'pending',
      goal_complete: '0',
    }),
  ],
  'percent-heavy': [
    escaped({}),
    escaped({ referrer_customValue: '{"plan":"gold","coupon":"10% off & more"}', purchaseValue: '1299.90' }),
    query({ referrer_customValue: 'https://shop.example/thanks?order=4711&utm_source=friend&utm_campaign=a%20b' }),
  ],
  'captured requests': captured(),
}
