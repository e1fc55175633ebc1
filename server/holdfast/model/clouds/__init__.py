"""Models in clouds: Amazon Bedrock, Google Vertex AI, Microsoft Foundry.

Law: what a cloud does differently is here and nowhere else: where it answers and in which form
(`places`), how a machine signs in (`logins`), what its errors mean (`failures`), how the SDK's
client for it is used (`wire`). The rest is that of every endpoint.
"""
