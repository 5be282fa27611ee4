/*
 * Hostile callbacks with a right credential, as a shopper's browser or a broken sender can make the platform send them. Each kind makes a
 * request from a number, so that all requests differ.
 */
const form = (body, path = '/webhook') => ({ path, type: 'application/x-www-form-urlencoded', body })
const json = (body, path = '/webhook') => ({ path, type: 'application/json', body })
const fill = (text, length) => text.repeat(Math.floor(length / text.length))
const call = (changes) => {
  const params = {
    conversion: 'success',
    referrer_email: 'r@shop.example',
    referee_email: 'f@shop.example',
    ...changes,
  }
  return form(new URLSearchParams(params).toString())
}

export const kinds = {
  'an array of arrays for the order': (n) =>
    json(`{"conversion":"success","n":${n},"orderID":[${fill('[],', 62_000)}[]]}`),
  'nested JSON': (n) => json(`{"n":${n},"orderID":${'['.repeat(30_000)}${']'.repeat(30_000)}}`),
  'many members of JSON': (n) => json(`{${fill(`"${n}a":1,`, 60_000)}"orderID":"1"}`),
  'JSON that is none': (n) => json(`{"orderID":"${n}${fill('x', 60_000)}`),
  'question marks and percent signs': (n) => form(`n=${n}&${fill('?', 30_000)}${fill('%', 30_000)}=`),
  'stray percent signs behind &amp;': (n) => form(`n=${n}&${fill('amp;a=%&', 60_000)}`),
  'a thousand parameters': (n) => form(fill(`a${n}=b&`, 60_000)),
  'raw UTF-8': (n) => form(`conversion=success&orderID=${n}&referrer_customValue=${fill('é', 16_000)}`),
  'refused orders of 15,000 characters': (n) => call({ orderID: `${n}${fill('a@b.', 15_000)}` }),
  'refused statuses, unknown parameters': (n) =>
    call({ conversion: 'maybe', orderID: `R${n}`, note: fill('n', 16_000) }),
  'templates that were not filled in': (n) => call({ orderID: '{orderID}', note: `${n}${fill('{', 15_000)}` }),
  'large conversions': (n) =>
    call({ orderID: `L${n}`, referrer_customValue: fill('c', 8_000), note: fill('n', 7_500) }),
  'orders that confirm holds': (n) => call({ orderID: `H${n}`, referrer_customValue: fill('c', 4_000) }),
  'orders whose handler fails': (n) => call({ orderID: `F${n}` }),
  'conflicts about one order': (n) =>
    call({ orderID: 'C', purchaseValue: String(n), referrer_customValue: fill('c', 8_000) }),
  'one order, again and again': () => call({ orderID: 'D', conversion: 'pending' }),
  'an object behind a body parser': (n) => json(`{"orderID":{"n":${n},"a":"${fill('x', 100_000)}"}}`, '/parsed'),
  'an array behind a body parser': (n) =>
    json(`{"conversion":"success","n":${n},"orderID":[${fill('"1",', 100_000)}1]}`, '/parsed'),
  'nested names behind a body parser': (n) => form(`${fill(`a${n}[b][c]=1&`, 9_000)}orderID=1`, '/parsed'),
}
