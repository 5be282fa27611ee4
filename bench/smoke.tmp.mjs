import { conversionWebhook } from '../dist/esm/index.js'
import { sqliteInbox } from '../dist/esm/sqlite.js'
import fs from 'node:fs'
fs.rmSync('/tmp/t.db',{force:true});fs.rmSync('/tmp/t.db-wal',{force:true})
const inbox = sqliteInbox('/tmp/t.db')
let n=0, fails=0
const hook = conversionWebhook({ onSuccess: async (c, ctx) => { if (c.orderId==='o7' && ctx.attempt<2) throw new Error('boom x@y.z'); n++; if (c.orderId==='o8') await ctx.commit(db => { db.exec('create table if not exists r(x)'); db.exec("insert into r values('o8')"); return 1 }) }, onError: e=>{fails++; }, onDead: d=>console.log('dead', d.id) }, { secret:false, inbox, maxAttempts: 3 })
const q=(o,s='success',g=0)=>`conversion=${s}&orderID=${o}&referrer_email=a@b.c&goal_complete=${g}`
console.log(await Promise.all([...Array(10).keys()].map(i=>hook.accept(q('o'+i)))).then(r=>r.map(x=>x.outcome).join()))
console.log(await hook.accept(q('o1')), await hook.accept('conversion=bogus'), await hook.accept(q('o1')+'&purchaseValue=3'), await hook.accept(q('o1')+'&referee_email=q@q.q&referrer_email=z@z.z').catch(e=>e))
await new Promise(r=>setTimeout(r,1800))
console.log(n,fails, await inbox.stats())
const [row]=await inbox.list({orderId:'o7'}); console.log(row, (await inbox.get(row.id)).history)
console.log(await inbox.erase({email:'A@b.c'}), fs.readFileSync('/tmp/t.db').includes('a@b.c'), await inbox.stats(), (await inbox.list({limit:2})))
await hook.close()
for (const W of [1,32,256]) {
 fs.rmSync('/tmp/t2.db',{force:true});fs.rmSync('/tmp/t2.db-wal',{force:true})
 const inbox = sqliteInbox('/tmp/t2.db'); let d=0
 const hook = conversionWebhook({ onSuccess: () => {d++} }, { secret:false, inbox })
 const t=performance.now(); let i=0; const N=W===1?2000:20000
 await Promise.all(Array.from({length:W}, async()=>{while(i<N) await hook.accept(q('p'+i++))}))
 const ms=performance.now()-t
 while(d<N) await new Promise(r=>setTimeout(r,5))
 console.log(W, 'rows/s', Math.round(N/ms*1000), 'drained at', Math.round(N/(performance.now()-t)*1000))
 await hook.close()
}
