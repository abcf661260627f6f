// A shop in Node, @platformatic/kafka (npm install): node shop.mjs USER
import { randomUUID } from 'node:crypto'
import { Consumer, Producer, compatibilityPartitioner, stringDeserializers, stringSerializers } from '@platformatic/kafka'

const servers = process.env.FRESHET_KAFKA__BOOTSTRAP_SERVERS ?? '127.0.0.1:9092'
const prefix = process.env.FRESHET_KAFKA__TOPIC_PREFIX ?? ''
const user = process.argv[2] ?? 'ann'
const kafka = { clientId: 'shop', bootstrapBrokers: servers.split(','), retries: 3, timeout: 10_000 }
const seconds = 30

async function shop() {
  const visit = randomUUID() // an event gets its id where it happens, and keeps it when it is sent again
  const event = { user_id: user, timestamp: Date.now() }
  const strainer = { item_id: 'tea-strainer', title: 'Fine tea strainer', categories: ['Kitchen', 'Tea'] }
  const messages = [
    ['items', 'tea-strainer', strainer],
    ['clicks', user, { ...event, event_id: `${visit}-1`, item_id: 'tea-pot' }],
    ['clicks', user, { ...event, event_id: `${visit}-2`, item_id: 'tea-strainer' }],
    ['purchases', user, { ...event, event_id: `${visit}-3`, item_id: 'tea-pot', price: 49.0 }]
  ].map(([to, key, value]) => ({ topic: prefix + to, key, value: JSON.stringify(value) }))

  const topic = `${prefix}recommendations`
  const consumer = new Consumer({ ...kafka, groupId: `shop-${visit}`, deserializers: stringDeserializers })
  const ends = await consumer.listOffsets({ topics: [topic] }) // as they are before anything is sent
  const offsets = ends.get(topic).map((offset, partition) => ({ topic, partition, offset }))
  const lists = await consumer.consume({ topics: [topic], mode: 'manual', offsets, autocommit: false })
  // Without the partitioner this client would put users elsewhere than Java and kafka-python do.
  const producer = new Producer({
    ...kafka, serializers: stringSerializers, idempotent: true, acks: -1, partitioner: compatibilityPartitioner
  })
  await producer.send({ messages }) // throws what Kafka refused
  await producer.close()

  const late = setTimeout(() => {
    console.error(`no list for ${user} in ${seconds} s: does a worker run?`)
    process.exit(2)
  }, seconds * 1000)
  for await (const { value } of lists) {
    const { items, trigger } = JSON.parse(value)
    if (!trigger.event_id.startsWith(visit)) continue
    for (const { item_id, reason } of items) console.log(item_id, ...Object.values(reason))
    break
  }
  clearTimeout(late)
  await consumer.close(true)
}

shop().catch(error => {
  console.error(`Kafka at ${servers}: ${error.message}`)
  process.exit(1)
})
