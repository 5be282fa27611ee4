import { parseCallback, type ParseOptions } from '../../lib/index.js'
import { params, query } from '../support/callbacks.js'
import { conversionOf, issuesOf, rulesOf } from '../support/parse.js'

const thrownBy = (options: object): unknown => {
  try {
    parseCallback(query(), options as ParseOptions)
  } catch (error) {
    return error
  }
  return undefined
}

const rejects = (options: object, code: string, message: RegExp) => {
  expect(thrownBy(options)).toMatchObject({
    code,
    message: expect.stringMatching(message) as string,
  })
}

describe('fields', () => {
  test('a renamed parameter is found under its name, and shown under the documented one', () => {
    const {
      orderId,
      params: shown,
      extra,
    } = conversionOf('conversion=success&order_no=A&orderID=B', {
      fields: { orderID: 'order_no' },
    })
    expect([orderId, shown.orderID, extra]).toEqual(['A', 'A', { orderID: 'B' }])
  })

  test('several names stand for one, and must agree', () => {
    const options = { fields: { orderID: ['order_no', 'orderID'] } }
    expect(conversionOf('conversion=success&order_no=A', options).orderId).toBe('A')
    expect(conversionOf('conversion=success&orderID=A', options).orderId).toBe('A')
    expect(conversionOf('conversion=success&orderID=A&order_no=A', options).orderId).toBe('A')
    expect(rulesOf('conversion=success&orderID=A&order_no=B', options)).toEqual(['orderID repeated'])
  })

  test('two parameters may swap their names', () => {
    const { referrer, referee } = conversionOf(params(), {
      fields: { referrer_name: 'referee_name', referee_name: 'referrer_name' },
    })
    expect([referrer.name, referee.name]).toEqual(['Cristian Bale', 'Robert Downy'])
  })

  test('what they cannot mean throws', () => {
    const code = 'ERR_CONVERSION_OPTION_INVALID'
    rejects({ fields: { orderId: 'x' } }, code, /orderId/)
    rejects({ fields: { orderID: 'purchaseValue' } }, code, /purchaseValue/)
    rejects({ fields: { orderID: 'x', purchaseValue: ['x'] } }, code, /x stands for two parameters/)
    for (const fields of [null, [], 'orderID', { orderID: 5 }, { orderID: [5] }, { orderID: null }]) {
      rejects({ fields }, code, /fields/)
    }
  })
})

describe('statuses', () => {
  const statuses = { approved: 'success', Rejected: 'fail', 'in review': 'pending' } as const

  test.each([
    ['approved', 'success'],
    [' APPROVED ', 'success'],
    ['rejected', 'fail'],
    ['In Review', 'pending'],
    ['success', 'success'],
    ['Fail', 'fail'],
  ])('%s is %s', (word, status) => {
    expect(conversionOf(params({ conversion: word }), { statuses }).status).toBe(status)
  })

  test('the word as sent stays in params', () => {
    expect(conversionOf(params({ conversion: ' APPROVED ' }), { statuses }).params.conversion).toBe(' APPROVED ')
  })

  test('other words are refused', () => {
    expect(rulesOf(params({ conversion: 'declined' }), { statuses })).toEqual(['conversion enum'])
    expect(rulesOf(params({ conversion: 'toString' }), { statuses })).toEqual(['conversion enum'])
  })

  test('what they cannot mean throws', () => {
    const code = 'ERR_CONVERSION_OPTION_INVALID'
    for (const bad of [null, [], 'approved', { approved: 'yes' }, { approved: 'SUCCESS' }]) {
      rejects({ statuses: bad }, code, /statuses/)
    }
  })
})

describe('options of parseCallback', () => {
  const invalid = 'ERR_CONVERSION_OPTION_INVALID'

  test('that cannot work throw', () => {
    for (const options of [null, [], 'x', 5] as unknown as object[]) rejects(options, invalid, /object of options/)
    rejects({ feilds: {} }, 'ERR_CONVERSION_OPTION_UNKNOWN', /did you mean fields\?$/)
    rejects({ secret: 'x' }, 'ERR_CONVERSION_OPTION_UNKNOWN', /no option secret/)
    for (const parseCustomValue of [null, 'x', {}]) rejects({ parseCustomValue }, invalid, /parseCustomValue must be/)
    for (const scope of [null, 5, [], 'a\0'])
      rejects({ scope }, invalid, /^scope must be a string without NUL characters\.$/)
    for (const receivedAt of [null, 5, '2026-01-01', new Date('x'), {}]) rejects({ receivedAt }, invalid, /valid Date/)
  })

  test('that are undefined are as good as left out', () => {
    const options = {
      fields: undefined,
      statuses: undefined,
      schema: undefined,
      parseCustomValue: undefined,
      scope: undefined,
      receivedAt: undefined,
    } as object
    expect(conversionOf(query(), options)).toMatchObject({ scope: '', orderId: 'ASDXXXXX' })
  })
})

describe('schema', () => {
  test('judges no stranger under a documented name that is renamed', () => {
    const options = { fields: { orderID: 'order_no' }, schema: { required: ['orderID'] } } as const
    expect(rulesOf({ conversion: 'success', referee_email: 'a@b.c', orderID: 'X' }, options)).toEqual([
      'orderID schema:required',
    ])
    expect(conversionOf({ conversion: 'success', order_no: 'A', orderID: 'X' }, options).extra).toMatchObject({
      orderID: 'X',
    })
  })

  const schema = {
    type: 'object',
    required: ['orderID', 'campaign'],
    properties: { campaign: { enum: ['spring', 'autumn'] }, purchaseValue: { pattern: '^\\d+$' } },
  }

  test('what satisfies it is accepted', () => {
    expect(conversionOf({ ...params(), campaign: 'spring' }, { schema }).extra.campaign).toBe('spring')
  })

  test('what does not is refused, an issue a parameter', () => {
    expect(rulesOf({ ...params({ orderID: undefined }), campaign: 'winter' }, { schema }).sort()).toEqual([
      'campaign schema:enum',
      'orderID schema:required',
    ])
    expect(rulesOf(params(), { schema })).toEqual(['campaign schema:required'])
    expect(rulesOf({ ...params({ purchaseValue: '1.5' }), campaign: 'spring' }, { schema })).toEqual([
      'purchaseValue schema:pattern',
    ])
  })

  test('sees documented names, trimmed texts and the mapped status', () => {
    const strict = { properties: { conversion: { const: 'success' }, orderID: { maxLength: 1 } } }
    const options = { schema: strict, fields: { orderID: 'order_no' }, statuses: { approved: 'success' } } as const
    expect(conversionOf('conversion=APPROVED&order_no=+A+', options).orderId).toBe('A')
    expect(rulesOf('conversion=fail&order_no=AB', options).sort()).toEqual([
      'conversion schema:const',
      'orderID schema:maxLength',
    ])
  })

  test('a rule about the whole has no parameter', () => {
    expect(rulesOf(query(), { schema: { maxProperties: 1 } })).toEqual(['- schema:maxProperties'])
    expect(rulesOf(query(), { schema: {} })).toEqual([])
  })

  test('its messages hold no text that was sent', () => {
    const issues = issuesOf({ ...params(), campaign: 'hunter2' }, { schema })
    expect(JSON.stringify(issues)).not.toContain('hunter2')
  })

  test('the 2020-12 draft is understood', () => {
    const options = {
      schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', unevaluatedProperties: false },
    }
    expect(rulesOf('conversion=success&orderID=A', options)).not.toEqual([])
  })

  test('one that cannot be compiled throws', () => {
    for (const bad of [{ type: 'text' }, { $ref: '#/nowhere' }, { pattern: '(' }, null, 5, 'schema', []]) {
      rejects({ schema: bad }, 'ERR_CONVERSION_SCHEMA_INVALID', /schema/)
    }
  })
})

describe('parseCustomValue', () => {
  test('gets the text as sent, and its result is the custom value', () => {
    const parseCustomValue = (text: string) => ({ text })
    const conversion = conversionOf(params({ referrer_customValue: ' x ' }), { parseCustomValue })
    expect(conversion.referrer.customValue).toEqual({ text: ' x ' })
    expect(conversion.params.referrer_customValue).toBe(' x ')
  })

  test('is not asked where there is none', () => {
    const parseCustomValue = () => {
      throw new Error('never')
    }
    expect(conversionOf(params({ referrer_customValue: ' ' }), { parseCustomValue }).referrer).not.toHaveProperty(
      'customValue',
    )
  })

  test('must answer at once: a promise refuses the callback, and its rejection is heard', async () => {
    const parseCustomValue = () => Promise.reject(new Error('no such tier'))
    expect(rulesOf(query(), { parseCustomValue })).toEqual(['referrer_customValue customValue'])
    await new Promise(setImmediate)
  })

  test('a throw refuses the callback, without its text', () => {
    const parseCustomValue = (text: string): unknown => JSON.parse(text)
    expect(issuesOf(query(), { parseCustomValue })).toEqual([
      {
        parameter: 'referrer_customValue',
        rule: 'customValue',
        message: 'referrer_customValue was refused by the parseCustomValue option',
      },
    ])
  })
})
