import { callbackSchema, type ParameterName } from '../../lib/index.js'
import { params } from '../support/callbacks.js'
import { conversionOf, issuesOf, rulesOf } from '../support/parse.js'

/* Every parameter with texts at and beyond its limits. */

const of = (name: ParameterName, text: string) => params({ [name]: text })
const astral = '😀'

const typedAs: Readonly<Partial<Record<ParameterName, (text: string) => unknown>>> = {
  conversion: (text) => conversionOf(of('conversion', text)).status,
  purchaseValue: (text) => conversionOf(of('purchaseValue', text)).purchaseValue,
  referrer_converts: (text) => conversionOf(of('referrer_converts', text)).referrer.conversions,
  goal_complete: (text) => conversionOf(of('goal_complete', text)).goalComplete,
}

const accepted: readonly (readonly [ParameterName, string, unknown])[] = [
  ['conversion', 'SUCCESS', 'success'],
  ['conversion', ' Fail\n', 'fail'],
  ['conversion', '\u00a0pending\ufeff', 'pending'],
  ['purchaseValue', '0', 0],
  ['purchaseValue', '-0', 0],
  ['purchaseValue', '-0.00', 0],
  ['purchaseValue', '00012.30', 12.3],
  ['purchaseValue', ' 12.30 ', 12.3],
  ['purchaseValue', '-12.30', -12.3],
  ['purchaseValue', '123456789012345', 123_456_789_012_345],
  ['purchaseValue', '999999999999.999', 999_999_999_999.999],
  ['purchaseValue', '0.000000000000001', 1e-15],
  ['purchaseValue', '0.00123456789012345', 0.00123456789012345],
  ['purchaseValue', '100000000000000', 100_000_000_000_000],
  ['purchaseValue', `${'0'.repeat(240)}123456789012345`, 123_456_789_012_345],
  ['referrer_converts', '0', 0],
  ['referrer_converts', '007', 7],
  ['referrer_converts', ' 2\t', 2],
  ['referrer_converts', '999999999999999', 999_999_999_999_999],
  ['referrer_converts', '9007199254740991', Number.MAX_SAFE_INTEGER],
  ['referrer_converts', '0009007199254740991', Number.MAX_SAFE_INTEGER],
  ['referrer_converts', '9007199254739999', 9_007_199_254_739_999],
  ['goal_complete', '1', true],
  ['goal_complete', '0', false],
  ['goal_complete', ' 1\r\n', true],
]

test.each(accepted)('%s %j is %j', (name, text, value) => {
  expect(typedAs[name]?.(text)).toBe(value)
})

const long = 'a'.repeat(64)
const refused: readonly (readonly [ParameterName, readonly string[]])[] = [
  ['conversion', ['successful', 'succ ess', 'approved', '1', 'true', 'success,fail', 'success\u0000', 'ſuccess', long]],
  [
    'purchaseValue',
    [
      ...['1e3', '1E3', '0x10', '0b11', '0o7', '+5', '--5', '- 5', '5-', '.5', '5.', '1.2.3', '1,000', '1.000,00'],
      ...["1'000", '1_000', '1 000', '$5', '5 EUR', '5€', 'NaN', 'Infinity', 'null', '१००', '１', '−5', '5\u0000'],
      ...['1234567890123456', '0.1234567890123456', '1.000000000000000', '1000000000000000', '9'.repeat(300)],
      ...[`${'0'.repeat(255)}1`, '1\n2'],
    ],
  ],
  [
    'referrer_converts',
    [
      '-1',
      '+1',
      '1.0',
      '1.',
      '1e3',
      '0x1',
      '1,000',
      '१',
      '9007199254740992',
      '9007199254741000',
      '9'.repeat(16),
      '1 2',
    ],
  ],
  ['goal_complete', ['2', '-1', '01', '1.0', 'true', 'false', 'yes', 'on', '١', '1\u0000']],
  [
    'referee_email',
    [
      ...[
        'plain',
        '@',
        'a@',
        '@b',
        'a@b@c',
        'a@@b',
        'a b@c d',
        'a@b c',
        '"a b"@c.de',
        'a\u0000b@c',
        'a\tb@c',
        'a\u00a0b@c',
      ],
      ...['a@b\u0085c', 'a\u2028b@c', 'a\ud800@b', 'a@\udfffb', 'a@b,c@d'],
      `${'a'.repeat(320 - '@example.com'.length + 1)}@example.com`,
    ],
  ],
  ['referrer_email', ['plain', 'a@b@c', `${'a'.repeat(321)}@b`]],
  [
    'orderID',
    [
      'A\u0000',
      'A\nB',
      'A\tB',
      'A\u007fB',
      'A\u0085B',
      'A\u009fB',
      'A\ud800',
      '\udc00A',
      ...Array.from(
        '\u00ad\u034f\u061c\u115f\u180e\u200b\u200d\u202e\u2060\u2800\u3164\ufe0f\uffa0\u{e0001}\u{110bd}',
        (unseen) => `A${unseen}B`,
      ),
      'x'.repeat(256),
      astral.repeat(256),
    ],
  ],
  ['referrer_name', ['a\u0000b', 'x'.repeat(1_025), astral.repeat(1_025)]],
  ['referee_name', ['\u0000', 'x'.repeat(1_025)]],
  ['referrer_customValue', ['\u0000x', 'x'.repeat(8_193), astral.repeat(8_193)]],
]

describe.each(refused)('%s', (name, texts) => {
  test.each(texts.map((text) => [text.length > 60 ? `${text.slice(0, 20)}… of ${String(text.length)}` : text, text]))(
    '%j is refused',
    (_short, text) => {
      const issues = issuesOf(of(name, text))
      const rule = ['conversion', 'goal_complete'].includes(name) ? 'enum' : 'pattern'
      const message = `${name} ${callbackSchema.properties[name].description}`
      expect(issues).toEqual([{ parameter: name, rule, message }])
    },
  )
})

describe('e-mail addresses', () => {
  const addresses = [
    ...[
      'a@b',
      'Robert.Downy+tag@Gmail.COM',
      'bücher@müller.de',
      '用户@例子.公司',
      `${astral}@x.de`,
      "o'neil!#$%&*@x.de",
    ],
    `${'a'.repeat(320 - '@example.com'.length)}@example.com`,
    `${astral.repeat(318)}@b`,
  ]
  test.each(addresses)('%s is accepted, its case kept', (address) => {
    const { referrer, referee } = conversionOf(params({ referrer_email: address, referee_email: ` ${address}\n` }))
    expect([referrer.email, referee.email]).toEqual([address, address])
  })
})

describe('free texts', () => {
  const exact = (text: string) => {
    const conversion = conversionOf(params({ referrer_name: text, referee_name: text, referrer_customValue: text }))
    return [conversion.referrer.name, conversion.referee.name, conversion.referrer.customValue]
  }

  test.each([
    ...['  spaces around  ', 'tab\tand\r\nlines', '<b>&amp;"\'', '\u0001\u001f\u007f\u0085', 'e\u0301 é', '\ufeffBOM'],
    ...[
      '\u202eleft',
      'a+b%20c',
      '=1+1',
      '{}',
      '{name}',
      '{orderID}',
      'null',
      '[object Object]',
      '__proto__',
      '0',
      '𠜎👩‍👩‍👧',
    ],
  ])('%j is handed on exactly as sent', (text) => {
    expect(exact(text)).toEqual([text, text, text])
  })

  test('may be as long as their limits, counted in characters', () => {
    for (const character of ['x', 'é', astral]) {
      expect(exact(character.repeat(1_024))[0]).toBe(character.repeat(1_024))
      const custom = character.repeat(8_192)
      expect(conversionOf(params({ referrer_customValue: custom })).referrer.customValue).toBe(custom)
    }
  })
})

describe('orderID', () => {
  test.each([
    ...[
      'A',
      ' A ',
      'asdXXX',
      '0',
      '#1/2?3&4=5',
      'bob@example.com',
      '+49 170 123',
      'Bestellung Nr. 5',
      '{5}',
      '%',
      'é',
      '订单',
    ],
    ...['x'.repeat(255), astral.repeat(255)],
  ])('%s is accepted, trimmed, its case kept', (text) => {
    expect(conversionOf(of('orderID', text)).orderId).toBe(text.trim())
  })
})

describe('blank texts', () => {
  const blanks = ['', ' ', '\t\r\n', '\u00a0\u2003\ufeff']
  const optional = Object.keys(params()).filter((name) => name !== 'conversion') as ParameterName[]

  test.each(optional)('a blank %s is absent', (name) => {
    const { receivedAt, ...without } = conversionOf(params({ [name]: undefined }))
    for (const blank of blanks) {
      expect(conversionOf(of(name, blank))).toEqual({ ...without, receivedAt: expect.any(Date) as Date })
    }
    expect(without.params).not.toHaveProperty(name)
    expect(receivedAt).toBeInstanceOf(Date)
  })

  test('a blank status is a missing one', () => {
    for (const blank of blanks) expect(rulesOf(of('conversion', blank))).toEqual(['conversion required'])
  })

  test('blank identities are none', () => {
    expect(rulesOf(params({ orderID: ' ', referee_email: '\t' }))).toEqual(['- identity'])
    expect(rulesOf(params({ orderID: ' ' }))).toEqual([])
    expect(rulesOf(params({ referee_email: '' }))).toEqual([])
  })
})

test('params keep the texts as they were sent, but for their names', () => {
  const sent = params({ conversion: ' SUCCESS ', orderID: ' A ', purchaseValue: ' 01.50 ', goal_complete: ' 1 ' })
  expect(conversionOf(sent).params).toEqual(sent)
})

describe('a template that was not filled in', () => {
  const shapes = [
    ...[
      '{*}',
      '{{*}}',
      '[*]',
      '%*%',
      '{ * }',
      '{{ * }}',
      ' {*} ',
      '[[*]]',
      '%%*%%',
      '<*>',
      '${*}',
      '#{*}',
      '<%* %>',
      '{%*%}',
    ],
  ]
  test.each(Object.keys(params()) as ParameterName[])('is refused as %s', (name) => {
    for (const shape of shapes) {
      const text = shape.replace('*', name)
      expect(issuesOf(of(name, text))).toEqual([
        { parameter: name, rule: 'placeholder', message: `${name} is a template of the sender that was not filled in` },
      ])
    }
  })

  test('is a text like any other inside a text, or with the name of another parameter', () => {
    const texts = [
      'dear {referrer_name}',
      '{referrer_name} Downy',
      '{referee_name}',
      '{Referrer_Name}',
      'referrer_name',
    ]
    for (const text of texts) expect(conversionOf(of('referrer_name', text)).referrer.name).toBe(text)
    expect(conversionOf(of('orderID', '{orderid}')).orderId).toBe('{orderid}')
  })
})

test('every broken parameter has one issue', () => {
  const broken = { conversion: 'x', referrer_email: 'x', orderID: '{orderID}', purchaseValue: 'x', goal_complete: 'x' }
  expect(rulesOf(params(broken)).sort()).toEqual([
    'conversion enum',
    'goal_complete enum',
    'orderID placeholder',
    'purchaseValue pattern',
    'referrer_email pattern',
  ])
})
